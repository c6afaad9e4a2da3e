#!/usr/bin/env perl
# A mail server out of Net::Server::Mail, a process for each connection: PORT HOSTNAME FOLDER.
# What it takes goes to the folder, as Dropped.ts reads it.
use strict;
use warnings;
use IO::Socket::INET;
use Net::Server::Mail::ESMTP;

my ( $port, $hostname, $folder ) = @ARGV;

{
    package Server;
    our @ISA = ('Net::Server::Mail::ESMTP');
    sub get_hostname { return $hostname }
}

my $listener = IO::Socket::INET->new( LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 100, ReuseAddr => 1 )
  or die "cannot listen on $port: $!\n";
$SIG{CHLD} = 'IGNORE';
my $count = 0;

sub bare {
    my ($path) = @_;
    $path =~ s/^<|>$//g;
    return $path;
}

sub drop {
    my ( $session, $data ) = @_;
    my $name = "$folder/$$-" . $count++;
    write_file( "$name.message", $$data );
    my @envelope = map { bare($_) . "\n" } $session->get_sender(), $session->get_recipients();
    write_file( "$name.part", join '', @envelope );
    rename "$name.part", "$name.envelope" or die $!;
    return ( 1, 250, 'queued' );
}

sub write_file {
    my ( $name, $content ) = @_;
    open my $file, '>:raw', $name or die "$name: $!";
    print {$file} $content;
    close $file or die "$name: $!";
}

while ( my $connection = $listener->accept ) {
    my $pid = fork;
    die "cannot fork: $!\n" unless defined $pid;
    if ($pid) { close $connection; next }
    close $listener;
    my $server = Server->new( socket => $connection );
    $server->register("Net::Server::Mail::ESMTP::$_") for qw(8BITMIME PIPELINING);
    $server->set_callback( RCPT => sub { return 1 } );
    $server->set_callback( DATA => \&drop );
    $server->process;
    close $connection;
    exit 0;
}
