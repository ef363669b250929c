# The demo's engine: busybox's web server, and beside it whoever tells the node that it lives (sd_notify(3)), which
# is only said when a page was just served. No module is needed: the image has perl itself and nothing else of it.
my ($port, $began) = (8000, 0);
my $server = fork // die "fork: $!\n";
unless ($server) {
    exec '/bin/busybox', 'httpd', '-f', '-p', $port, '-h', '/www' or die "busybox: $!\n";
}
print "the web server is process $server\n";

sub serves {
    my ($head, $stream) = ("");
    eval {
        local $SIG{ALRM} = sub { die "no answer\n" };
        alarm 1;
        # AF_INET, SOCK_STREAM, 127.0.0.1
        socket($stream, 2, 1, 0) && connect($stream, pack 'S n C4 x8', 2, $port, 127, 0, 0, 1) or die "$!\n";
        syswrite $stream, "GET /alive HTTP/1.0\r\n\r\n";
        sysread $stream, $head, 64;
    };
    alarm 0;
    return $head =~ m{^HTTP/1\.[01] 200 };
}

# Not `tell`: a sub of that name is never called, for Perl has one of its own.
sub say_to_node {
    # AF_UNIX, SOCK_DGRAM
    socket(my $node, 1, 2, 0) or die "socket: $!\n";
    send $node, $_[0], 0, pack 'S a*', 1, "$ENV{NOTIFY_SOCKET}\0";
}

while (1) {
    # WNOHANG
    die "the web server has ended\n" if waitpid($server, 1) == $server;
    say_to_node($began++ ? 'WATCHDOG=1' : "READY=1\nWATCHDOG=1\nSTATUS=serves") if serves();
    select undef, undef, undef, $began ? 0.2 : 0.02;
}
