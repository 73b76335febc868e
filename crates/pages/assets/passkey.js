// Passkeys: what the page asks goes to the browser, and its answer into the page's form. No requests of its own.
"use strict";

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const words = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const known = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));

// The JSON form of WebAuthn as the browser's own, and its answer as JSON.
const ways = {
  create: async ({ publicKey }, signal) => {
    const user = { ...publicKey.user, id: bytes(publicKey.user.id) };
    const asked = { ...publicKey, challenge: bytes(publicKey.challenge), user, excludeCredentials: known(publicKey.excludeCredentials) };
    const made = await navigator.credentials.create({ publicKey: asked, signal });
    const { attestationObject, clientDataJSON } = made.response;
    return [made, { attestationObject: words(attestationObject), clientDataJSON: words(clientDataJSON) }];
  },
  get: async ({ publicKey }, signal) => {
    const asked = { ...publicKey, challenge: bytes(publicKey.challenge), allowCredentials: known(publicKey.allowCredentials) };
    const found = await navigator.credentials.get({ publicKey: asked, signal });
    const { authenticatorData, clientDataJSON, signature, userHandle } = found.response;
    const response = { authenticatorData: words(authenticatorData), clientDataJSON: words(clientDataJSON), signature: words(signature) };
    if (userHandle) response.userHandle = words(userHandle);
    return [found, response];
  },
};

const reasons = {
  NotAllowedError: "No passkey was given: it was cancelled, or took too long. Try again, or use another way.",
  InvalidStateError: "This device holds a passkey of this account already.",
  SecurityError: "Passkeys are bound to this site's own address: open the page by that address, over HTTPS.",
};

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const button = form.querySelector("button");
  const told = form.querySelector("[data-told]");
  const tell = (text) => { told.textContent = text; };
  if (!window.PublicKeyCredential) {
    tell("This browser knows no passkeys here: it needs HTTPS and a newer version. Use another way.");
    continue;
  }
  const ask = async () => {
    button.disabled = true;
    tell("");
    try {
      const [credential, response] = await ways[form.dataset.passkey](JSON.parse(form.dataset.options));
      form.elements.response.value = JSON.stringify({ id: credential.id, rawId: words(credential.rawId), type: credential.type, response, extensions: {} });
      form.submit();
    } catch (error) {
      tell(reasons[error.name] ?? `The browser refused: ${error.message}`);
      button.disabled = false;
      button.focus();
    }
  };
  button.hidden = false;
  button.addEventListener("click", ask);
  if ("atOnce" in form.dataset) ask();
}
