import java.io.FileInputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.security.KeyStore;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.X509ExtendedKeyManager;

/**
 * A TLS 1.2 server by JSSE that renegotiates, perhaps with another certificate, on every connection but the first of a run.
 *
 * <p>RenegotiatingBackEnd PORT SUITE STORE.p12 FIRST SECOND CONNECTIONS PLAIN: so many connections are served, the first PLAIN of them without a renegotiation.
 */
public final class RenegotiatingBackEnd {
    private static volatile String alias;

    public static void main(String[] args) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(new FileInputStream(args[2]), "changeit".toCharArray());
        KeyManagerFactory factory = KeyManagerFactory.getInstance("SunX509");
        factory.init(store, "changeit".toCharArray());
        X509ExtendedKeyManager keys = (X509ExtendedKeyManager) factory.getKeyManagers()[0];
        SSLContext context = SSLContext.getInstance("TLSv1.2");
        context.init(new KeyManager[] {new Chosen(keys)}, null, null);
        SSLServerSocket server = (SSLServerSocket) context.getServerSocketFactory().createServerSocket(Integer.parseInt(args[0]), 8, InetAddress.getLoopbackAddress());
        server.setEnabledCipherSuites(new String[] {args[1]});
        server.setEnabledProtocols(new String[] {"TLSv1.2"});
        System.out.println("ready");
        for (int i = 0; i < Integer.parseInt(args[5]); i++) {
            alias = args[3];
            try (SSLSocket socket = (SSLSocket) server.accept()) {
                socket.setSoTimeout(5000);
                byte[] line = new byte[512];
                socket.getInputStream().read(line);
                if (i >= Integer.parseInt(args[6])) {
                    alias = args[4];
                    socket.getSession().invalidate();
                    socket.startHandshake(); // sends a HelloRequest; the rest happens while the next line is read
                    socket.getInputStream().read(line);
                }
                socket.getOutputStream().write("done\n".getBytes());
            } catch (java.io.IOException problem) {
                System.out.println(problem);
            }
        }
    }

    /** Shows the certificate of the moment. */
    private static final class Chosen extends X509ExtendedKeyManager {
        private final X509ExtendedKeyManager keys;

        Chosen(X509ExtendedKeyManager keys) {
            this.keys = keys;
        }

        @Override
        public String chooseServerAlias(String type, Principal[] issuers, Socket socket) {
            return type.equals("RSA") ? alias : null;
        }

        @Override
        public String chooseClientAlias(String[] types, Principal[] issuers, Socket socket) {
            return null;
        }

        @Override
        public String[] getServerAliases(String type, Principal[] issuers) {
            return keys.getServerAliases(type, issuers);
        }

        @Override
        public String[] getClientAliases(String type, Principal[] issuers) {
            return null;
        }

        @Override
        public X509Certificate[] getCertificateChain(String name) {
            return keys.getCertificateChain(name);
        }

        @Override
        public PrivateKey getPrivateKey(String name) {
            return keys.getPrivateKey(name);
        }
    }
}
