#!/bin/sh
# Walks through the service with curl and openssl alone: creates a key and tokens, encrypts, rotates, re-encrypts, decrypts, and
# checks signatures and RSA encryption outside the service. Needs URL, ACCESS_KEY and SECRET_KEY, which the emulator prints.
set -eu

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# account METHOD TARGET [BODY]: a call signed by the account, version 2.
account() {
    now=$(date +%s)000
    signature=$(printf '%s %s\n%s\n%s' "$1" "$2" "$now" "$ACCESS_KEY" |
        openssl dgst -sha256 -hmac "$SECRET_KEY" -binary | openssl base64 -A)
    curl -sS --noproxy '*' -X "$1" "$URL$2" -H 'content-type: application/json' -H "x-ncp-apigw-timestamp: $now" \
        -H "x-ncp-iam-access-key: $ACCESS_KEY" -H "x-ncp-apigw-signature-v2: $signature" ${3:+--data "$3"}
}

# token TOKEN METHOD TARGET [BODY]: a call with a key's token.
token() {
    curl -sS --noproxy '*' -X "$2" "$URL$3" -H 'content-type: application/json' -H "x-ncp-ocapi-token: $1" ${4:+--data "$4"}
}

# field NAME: a text field of the JSON on standard input.
field() {
    sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p'
}

# expect WHAT GOT WANTED
expect() {
    if [ "$2" != "$3" ]; then
        echo "$1: got '$2', wanted '$3'" >&2
        exit 1
    fi
    echo "$1: ok"
}

plain=$(printf 'attack at dawn' | openssl base64 -A)

tag=$(account POST /kms/v1/keys '{"keyName":"walk","keyType":"AES256","isAutoRotation":false,"protectionType":"BASIC"}' | field keyTag)
key=/kms/v1/keys/$tag
expect 'token generator' "$(account POST "$key/token-generator" | field code)" SUCCESS
account POST "$key/token-set" '{"accessTokenHours":1,"refreshTokenHours":2}' >"$scratch/tokens"
access=$(field accessToken <"$scratch/tokens")
refresh=$(field refreshToken <"$scratch/tokens")

old=$(token "$access" POST "$key/encrypt" "{\"plaintext\":\"$plain\"}" | field ciphertext)
expect 'encrypted with version 1' "${old%:*}" ncpkms:v1
expect 'rotated' "$(account POST "$key/rotate" | field code)" SUCCESS
access=$(token "$refresh" POST "$key/access-token" | field accessToken)
new=$(token "$access" POST "$key/re-encrypt" "{\"ciphertext\":\"$old\"}" | field newCiphertext)
expect 're-encrypted with version 2' "${new%:*}" ncpkms:v2
for ciphertext in "$old" "$new"; do
    expect 'decrypted' "$(token "$access" POST "$key/decrypt" "{\"ciphertext\":\"$ciphertext\"}" | field plaintext)" "$plain"
    expect 'decrypted by API 1.0' "$(account POST "/keys/v2/$tag/decrypt" "{\"ciphertext\":\"$ciphertext\"}" | field plaintext)" "$plain"
done

for type in RSA2048 ECDSA; do
    tag=$(account POST /kms/v1/keys "{\"keyName\":\"walk-$type\",\"keyType\":\"$type\",\"protectionType\":\"BASIC\"}" | field keyTag)
    key=/kms/v1/keys/$tag
    signature=$(account POST "$key/sign" "{\"data\":\"$plain\"}" | field signature)
    account POST "$key/get-pub-key" | field publicKey | sed 's/\\n/\
/g' >"$scratch/$type.pem"
    printf '%s\n' "${signature#ncpkms:v1:}" | openssl base64 -d -A >"$scratch/signature"
    printf 'attack at dawn' >"$scratch/data"
    expect "$type signature" \
        "$(openssl dgst -sha256 -verify "$scratch/$type.pem" -signature "$scratch/signature" "$scratch/data")" 'Verified OK'
    [ "$type" = RSA2048 ] || continue
    sealed=$(openssl pkeyutl -encrypt -pubin -inkey "$scratch/$type.pem" -in "$scratch/data" -pkeyopt rsa_padding_mode:oaep \
        -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256 | openssl base64 -A)
    expect 'encrypted outside' "$(account POST "$key/decrypt" "{\"ciphertext\":\"ncpkms:v1:$sealed\"}" | field plaintext)" "$plain"
done
