import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSession;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

/** Connects again and again, as Puppet Server does to PuppetDB, and gives its own account of each connection: a line of JSON. */
public final class Client {
    public static void main(String[] args) throws Exception {
        String name = args[0];
        InetAddress address = InetAddress.getByAddress(name, InetAddress.getByName(args[1]).getAddress());
        int port = Integer.parseInt(args[2]);
        int count = Integer.parseInt(args[3]);
        long pause = Long.parseLong(args[4]);
        SSLSocketFactory factory = SSLContext.getDefault().getSocketFactory();
        for (int number = 1; number <= count; number++) {
            one(factory, name, address, port, number);
            Thread.sleep(pause);
        }
    }

    private static void one(SSLSocketFactory factory, String name, InetAddress address, int port, int number) {
        long started = System.currentTimeMillis();
        int local = 0;
        String outcome = "established", message = "", session = "", peer = "";
        try (Socket plain = new Socket()) {
            plain.connect(new InetSocketAddress(address, port), 5000);
            plain.setSoTimeout(5000);
            local = plain.getLocalPort();
            try (SSLSocket socket = (SSLSocket) factory.createSocket(plain, name, port, true)) {
                socket.startHandshake();
                SSLSession found = socket.getSession();
                session = hex(found.getId());
                peer = hex(MessageDigest.getInstance("SHA-256").digest(found.getPeerCertificates()[0].getEncoded()));
                socket.getOutputStream().write(("GET / HTTP/1.0\r\nHost: " + name + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
                InputStream in = socket.getInputStream();
                byte[] buffer = new byte[8192];
                while (in.read(buffer) >= 0) {
                    // the answer is not looked at
                }
            }
        } catch (Exception problem) {
            outcome = session.isEmpty() ? "aborted" : outcome;
            message = String.valueOf(problem.getMessage());
        }
        System.out.printf(
            "{\"number\":%d,\"started_ms\":%d,\"ended_ms\":%d,\"local_port\":%d,\"outcome\":\"%s\",\"message\":\"%s\",\"session_id\":\"%s\",\"peer_sha256\":\"%s\"}%n",
            number, started, System.currentTimeMillis(), local, outcome, message.replace("\\", "\\\\").replace("\"", "'"), session, peer);
    }

    private static String hex(byte[] bytes) {
        StringBuilder digits = new StringBuilder();
        for (byte one : bytes) {
            digits.append(String.format("%02x", one));
        }
        return digits.toString();
    }
}
