//! Targets over `keyring`: keys of SSH, as people paste them.

use keyring::{SshPrivateKey, SshPublicKey};
use model::Secret;

/// What stands within the files of two private keys of nobody's, and a line of a public one.
pub const SSH_KEYS: &[&str] = &[
    concat!(
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n",
        "QyNTUxOQAAACAdH1o8uZuwWAkMYQWMIO5+FAYx+3XkL4qucqIkvEoK2wAAAIhnchQPZ3IU\n",
        "DwAAAAtzc2gtZWQyNTUxOQAAACAdH1o8uZuwWAkMYQWMIO5+FAYx+3XkL4qucqIkvEoK2w\n",
        "AAAEBpPRzdQh39G6B5wYxZC3dT/dOWHEu4cpA+pusn0DGQeR0fWjy5m7BYCQxhBYwg7n4U\n",
        "BjH7deQviq5yoiS8SgrbAAAAAAECAwQF\n",
    ),
    concat!(
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS\n",
        "1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQT2ZOkXHpXnftGkyQfkSC/7CvZkGutM\n",
        "3eyy/+vBapFoexFEdpRKJceSQFC1jFtri9mnH0jqZ7KP1x27rLbIOuXvAAAAoFNBbb1TQW\n",
        "29AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPZk6Rceled+0aTJ\n",
        "B+RIL/sK9mQa60zd7LL/68FqkWh7EUR2lEolx5JAULWMW2uL2acfSOpnso/XHbustsg65e\n",
        "8AAAAhAJisldiHvSP/7kGmHoSNfatSNZgl33ZyudHh7W6lHEnBAAAAAAECAwQFBgc=\n",
    ),
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f comment",
];

/// What is taken for a key is one again when it is read back, and tells itself in one line.
pub fn ssh_key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = SshPublicKey::from_line(text) {
        assert_eq!(SshPublicKey::from_line(&key.line()).as_ref(), Ok(&key));
        assert_eq!(SshPublicKey::from_base64(&key.base64()).as_ref(), Ok(&key));
        assert!(!key.line().contains('\n') && key.sha256_fingerprint().starts_with("SHA256:"), "an odd line");
    }
    let file = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{text}\n-----END OPENSSH PRIVATE KEY-----\n");
    if let Ok(key) = SshPrivateKey::read(&Secret::new(file)) {
        let again = SshPrivateKey::read(key.text()).map(|again| again.public().clone());
        assert_eq!(again.as_ref(), Ok(key.public()), "a key that is none when it is read back");
    }
}
