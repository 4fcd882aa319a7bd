"""The texts beside the certificates: properties for brokers and clients, and the README."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from kafkaos.tls.certs_input import Order, is_address

PORT = 9093  # the port of Kafka's own TLS examples


def java_properties(values: Mapping[str, str], *, comment: str = "") -> str:
    """A Java properties file: backslashes doubled and all beyond ASCII as escapes, as Java expects."""
    lines = [f"# {line}" for line in comment.splitlines()]
    return "\n".join([*lines, *(f"{key}={escaped(value)}" for key, value in values.items())]) + "\n"


def escaped(value: str) -> str:
    """A value as Java reads it from a properties file, which it takes for Latin-1."""
    units = value.replace("\\", "\\\\").encode("utf-16-be")
    codes = (int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2))
    return "".join(chr(code) if 0x20 <= code < 0x7F else f"\\u{code:04x}" for code in codes)


def _store(kind: str, path: Path, password: str) -> dict[str, str]:
    return {
        f"ssl.{kind}.location": str(path),
        f"ssl.{kind}.type": "JKS" if path.suffix == ".jks" else "PKCS12",
        f"ssl.{kind}.password": password,
    }


def server_properties(order: Order, *, host: str, keystore: Path, truststore: Path, password: str) -> str:
    """The part of a broker's server.properties that concerns TLS."""
    values = {
        "listeners": f"SSL://:{PORT}",
        "advertised.listeners": f"SSL://{_in_url(host)}:{PORT}",
        "inter.broker.listener.name": "SSL",
        **_store("keystore", keystore, password),
        "ssl.key.password": password,
        **_store("truststore", truststore, password),
        "ssl.client.auth": "required" if order.mutual else "none",
        "ssl.endpoint.identification.algorithm": "https",
        "ssl.enabled.protocols": "TLSv1.2,TLSv1.3",
    }
    return java_properties(
        values,
        comment=(
            "SECRET: holds the stores' password. Merge into this broker's server.properties, and change\n"
            "the locations if you copy the stores elsewhere. With KRaft add the controller's listener:\n"
            f"listeners=SSL://:{PORT},CONTROLLER://:{PORT + 1} with\n"
            "controller.listener.names=CONTROLLER and\n"
            "listener.security.protocol.map=SSL:SSL,CONTROLLER:SSL"
        ),
    )


def java_client_properties(*, keystore: Path | None, truststore: Path, password: str) -> str:
    """client.properties of Kafka's Java clients; without a keystore the client shows no certificate."""
    shown = {**_store("keystore", keystore, password), "ssl.key.password": password} if keystore else {}
    values = {
        "security.protocol": "SSL",
        **shown,
        **_store("truststore", truststore, password),
        "ssl.endpoint.identification.algorithm": "https",
    }
    return java_properties(values, comment="SECRET: holds the stores' password.")


def librdkafka_properties(folder: Path, *, mutual: bool) -> str:
    """The same for librdkafka, which takes PEM files and reads values as they are, without escapes."""
    values = {"security.protocol": "SSL", "ssl.ca.location": str(folder / "ca.pem")}
    if mutual:
        values["ssl.certificate.location"] = str(folder / "certificate.pem")
        values["ssl.key.location"] = str(folder / "key.pem")
    values["ssl.endpoint.identification.algorithm"] = "https"
    return "".join(f"{key}={value}\n" for key, value in values.items())


def readme(order: Order, *, folder: Path, files: Iterable[tuple[str, int, str, bool]]) -> str:
    """What was made, which file is secret, how to use it, and the same by hand; `files` are path, step, what
    it is, secret or not."""
    rows = "\n".join(
        f"| `{path}` | {step or ''} | {what} | {'**secret**' if secret else ''} |"
        for path, step, what, secret in files
    )
    host, client = order.hosts[0][0], order.clients[0]
    return _README.format(
        both="Mutual TLS: brokers and clients show certificates."
        if order.mutual
        else "One-way TLS: only the "
        "brokers show certificates; the broker cannot tell by TLS who a client is.",
        days=order.validity_days,
        hosts=", ".join(f"`{name}`" for name, *_ in order.hosts),
        rows=rows,
        folder=folder,
        host=host,
        client=client,
        url=_in_url(host),
        port=PORT,
        commands=by_hand(order),
    )


def by_hand(order: Order) -> str:
    """The seven steps for the first host as shell commands of keytool and openssl (version 3)."""
    names = order.hosts[0]
    san = "san=" + ",".join(f"{'ip' if is_address(name) else 'dns'}:{name}" for name in names)
    store_type = "JKS" if order.store_format == "jks" else "PKCS12"
    days, suffix, alias = order.validity_days, order.suffix, names[0]
    java_key, openssl_key = (
        ("-keyalg EC -groupname secp256r1", "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1")
        if order.key_type == "ec"
        else ("-keyalg RSA -keysize 2048", "-newkey rsa:2048")
    )
    keystore = f"-keystore keystore.{suffix} -storetype {store_type} -storepass:env STORE_PASSWORD"
    secret = f"{keystore} -keypass:env STORE_PASSWORD"
    trust = f"-storetype {store_type} -storepass:env STORE_PASSWORD"
    ca = "keytool -importcert -noprompt -alias ca -file ca.pem"
    return f"""\
# 1 server keystore: the private key, with a certificate that only it has signed
keytool -genkeypair -alias {alias} -dname CN={alias} -ext {san} {java_key} -validity {days} \\
  {secret}
# 2 local authority
openssl req -new -x509 -subj "/CN=local authority" {openssl_key} -noenc -days {days} \\
  -keyout ca-key.pem -out ca.pem
# 3 signing request
keytool -certreq -alias {alias} -ext {san} -file request.pem \\
  {secret}
# 4 signed certificate
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -copy_extensions copy -days {days} \\
  -out certificate.pem
# 5 into the keystore: first the authority's, then the signed one over the first
{ca} {keystore}
keytool -importcert -noprompt -alias {alias} -file certificate.pem \\
  {secret}
# 6 the broker's truststore, for the other brokers and, with mutual TLS, the clients; then server.properties
{ca} -keystore truststore.{suffix} {trust}
# 7 the client's truststore; then client.properties
{ca} -keystore client-truststore.{suffix} {trust}
"""


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


_README = """\
# TLS for a Kafka cluster

{both} Everything is valid for {days} days. Hosts: {hosts}.

## Files

| file | step | what it is | |
|---|---|---|---|
{rows}

The steps: 1 server keystore, 2 local authority, 3 signing request, 4 signed certificate, 5 certificate into
the keystore, 6 broker configuration, 7 client truststore.

Folders have mode 0700 and files 0600. Give a broker its own folder under `hosts/` only, a client its own
under `clients/` only. `ca/ca-key.pem` stays with you: whoever has it can pass for any broker or client.

## Use

1. Broker: merge `hosts/{host}/server.properties` into the broker's own file and start it.
2. Java: `kafka-topics.sh --bootstrap-server {url}:{port} --list
   --command-config {folder}/clients/{client}/client.properties`
3. librdkafka: `kcat -F {folder}/clients/{client}/librdkafka.properties -b {url}:{port} -L`
4. Look at the broker's certificate: `openssl s_client -connect {url}:{port} -CAfile {folder}/ca/ca.pem`

Clients check that the certificate names the host they connect to, so connect by one of the names given.

## The same by hand, for {host}

With OpenSSL 3 and a JDK's keytool, in an empty folder, after `umask 077` and `export STORE_PASSWORD=…`:

```sh
{commands}```
"""
