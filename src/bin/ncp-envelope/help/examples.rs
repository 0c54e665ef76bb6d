//! An example or more for each command. The tests run every one of them.

/// A command, and its examples: what one does, and the line to type.
pub(crate) type Examples = (&'static str, &'static [(&'static str, &'static str)]);

pub(crate) const EXAMPLES: &[Examples] = &[
    (
        "",
        &[
            (
                "Encrypt a file under a key of your own machine, to photo.jpg.ncpe, and decrypt it",
                "ncp-envelope encrypt --local photo.jpg",
            ),
            ("", "ncp-envelope decrypt --local -o restored.jpg photo.jpg.ncpe"),
            ("See how a command is used", "ncp-envelope help encrypt"),
            ("Complete commands and options with Tab", "source <(ncp-envelope completions bash)"),
        ],
    ),
    (
        "encrypt",
        &[
            ("Encrypt a file to photo.jpg.ncpe", "ncp-envelope encrypt photo.jpg"),
            ("Encrypt a directory to sealed/photos", "ncp-envelope encrypt -r -o sealed photos"),
            (
                "Encrypt what another program writes, with a name that readers can require",
                "tar c photos |\n  ncp-envelope encrypt -c kind=backup -o photos.tar.ncpe -",
            ),
        ],
    ),
    (
        "decrypt",
        &[
            ("Decrypt to another name", "ncp-envelope decrypt -o restored.jpg photo.jpg.ncpe"),
            (
                "Decrypt a directory to restored/backup",
                "ncp-envelope decrypt -r -o restored backup",
            ),
            (
                "Decrypt into another program, only what was encrypted as a backup",
                "ncp-envelope decrypt -c kind=backup -o - photos.tar.ncpe | tar t",
            ),
        ],
    ),
    (
        "cat",
        &[
            ("Show the end of a message", "ncp-envelope cat --range -1000 server.log.ncpe"),
            ("Look for something in it", "ncp-envelope cat server.log.ncpe | grep error"),
        ],
    ),
    ("verify", &[("Check messages after they were copied", "ncp-envelope verify -r backup")]),
    (
        "inspect",
        &[
            ("Show key, context and length of a message", "ncp-envelope inspect photo.jpg.ncpe"),
            (
                "The same for a program",
                "ncp-envelope inspect --json photo.jpg.ncpe | python3 -m json.tool",
            ),
        ],
    ),
    (
        "rewrap",
        &[
            (
                "See what a rewrap would change after the key was rotated",
                "ncp-envelope rewrap --dry-run -r backup",
            ),
            (
                "Move all messages to the newest version of the key",
                "ncp-envelope rewrap --checkpoint progress -r backup",
            ),
        ],
    ),
    ("slots", &[("See which keys open a message", "ncp-envelope slots list photo.jpg.ncpe")]),
    ("slots list", &[("See which keys open a message", "ncp-envelope slots list photo.jpg.ncpe")]),
    (
        "slots add",
        &[(
            "Let another key open messages too",
            "ncp-envelope slots add --to-key \"$NEW_KEY\" -r durable",
        )],
    ),
    (
        "slots move",
        &[(
            "Put another key in the place of the present one",
            "ncp-envelope slots move --to-key \"$NEW_KEY\" -r backup",
        )],
    ),
    (
        "slots remove",
        &[("Remove a key", "ncp-envelope slots remove --key \"$NEW_KEY\" two-keys.ncpe")],
    ),
    ("rekey", &[("Encrypt messages anew, under new data keys", "ncp-envelope rekey -r backup")]),
    (
        "audit",
        &[
            ("See which versions of which keys are needed", "ncp-envelope audit -r backup"),
            (
                "Write the table for a spreadsheet, from a list of names",
                "find backup -print0 | ncp-envelope audit --csv -0 - > keys.csv",
            ),
        ],
    ),
    ("ring", &[("Make a key ring", "ncp-envelope ring create --ring people.ring")]),
    ("ring create", &[("Make a key ring", "ncp-envelope ring create --ring people.ring")]),
    (
        "ring show",
        &[(
            "See which keys are in a ring, and what wraps them",
            "ncp-envelope ring show --ring ring",
        )],
    ),
    (
        "ring rotate",
        &[("Encrypt new values under a new key", "ncp-envelope ring rotate --ring ring")],
    ),
    (
        "ring rotate-index",
        &[("Make new indexes with a new key", "ncp-envelope ring rotate-index --ring ring")],
    ),
    (
        "ring retire",
        &[(
            "Remove the first key, after all its rows were encrypted anew",
            "ncp-envelope ring retire --number 1 --ring ring",
        )],
    ),
    (
        "ring rewrap",
        &[(
            "Move a ring to the newest version of the key that wraps it",
            "ncp-envelope ring rewrap --ring ring",
        )],
    ),
    (
        "field",
        &[(
            "Encrypt a value, as text for a column of a table",
            "printf kim@example.com |\n  \
             ncp-envelope field encrypt --ring ring --field email --text",
        )],
    ),
    (
        "field encrypt",
        &[(
            "Encrypt a value, as text for a column of a table",
            "printf kim@example.com |\n  \
             ncp-envelope field encrypt --ring ring --field people.email \\\n  \
             --row 17 --text",
        )],
    ),
    (
        "field decrypt",
        &[(
            "Decrypt it",
            "ncp-envelope field decrypt --ring ring --field people.email \\\n  \
             --row 17 --text < email.txt",
        )],
    ),
    (
        "field index",
        &[(
            "Make the index by which a value is found",
            "printf kim@example.com |\n  \
             ncp-envelope field index --ring ring --field people.email",
        )],
    ),
    (
        "field csv",
        &[(
            "Encrypt a column, tied to its row",
            "ncp-envelope field csv encrypt --ring ring --column email \\\n  \
             < people.csv > sealed.csv",
        )],
    ),
    (
        "field csv encrypt",
        &[
            (
                "Encrypt a column, tied to its row",
                "ncp-envelope field csv encrypt --ring ring --column email \\\n  \
                 --row-column id < people.csv > sealed.csv",
            ),
            (
                "The same for the table people, with an index by which values are found",
                "ncp-envelope field csv encrypt --ring ring --table people \\\n  \
                 --column email --index email --row-column id \\\n  \
                 < people.csv > sealed.csv",
            ),
        ],
    ),
    (
        "field csv decrypt",
        &[(
            "Decrypt it",
            "ncp-envelope field csv decrypt --ring ring --column email \\\n  \
             --row-column id < sealed.csv > people.csv",
        )],
    ),
    ("keys", &[("List all keys of the account", "ncp-envelope keys list")]),
    ("keys list", &[("List all keys of the account", "ncp-envelope keys list")]),
    (
        "keys create",
        &[
            (
                "Create a key that is rotated every 90 days",
                "ncp-envelope keys create --auto-rotation photos",
            ),
            ("Create a key that signs", "ncp-envelope keys create --type ECDSA releases"),
        ],
    ),
    (
        "keys info",
        &[("Show what the service knows of a key", "ncp-envelope keys info --key \"$KEY\"")],
    ),
    ("keys rotate", &[("Add a version", "ncp-envelope keys rotate --key \"$KEY\"")]),
    ("keys enable", &[("Make a disabled key usable", "ncp-envelope keys enable --key \"$KEY\"")]),
    (
        "keys disable",
        &[("Make a key unusable for now", "ncp-envelope keys disable --key \"$KEY\"")],
    ),
    (
        "keys rename",
        &[("Give a key another name", "ncp-envelope keys rename --key \"$KEY\" photos-2026")],
    ),
    (
        "keys memo",
        &[(
            "Note what a key is for",
            "ncp-envelope keys memo --key \"$KEY\" 'photos of the archive'",
        )],
    ),
    (
        "keys auto-rotation",
        &[("Rotate a key by itself", "ncp-envelope keys auto-rotation on --key \"$KEY\"")],
    ),
    (
        "keys auto-rotation on",
        &[("Rotate a key by itself", "ncp-envelope keys auto-rotation on --key \"$KEY\"")],
    ),
    (
        "keys auto-rotation off",
        &[("Rotate a key by hand only", "ncp-envelope keys auto-rotation off --key \"$KEY\"")],
    ),
    (
        "keys auto-rotation period",
        &[(
            "Rotate a key once a year",
            "ncp-envelope keys auto-rotation period --key \"$KEY\" 365",
        )],
    ),
    (
        "keys versions",
        &[("List a key's versions", "ncp-envelope keys versions list --key \"$KEY\"")],
    ),
    (
        "keys versions list",
        &[("List a key's versions", "ncp-envelope keys versions list --key \"$KEY\"")],
    ),
    (
        "keys versions enable",
        &[("Make a version usable", "ncp-envelope keys versions enable --key \"$KEY\" 1")],
    ),
    (
        "keys versions disable",
        &[(
            "Make a version unusable, after audit and rewrap found nothing under it",
            "ncp-envelope keys versions disable --key \"$KEY\" 1",
        )],
    ),
    (
        "keys request-deletion",
        &[("Have a key deleted in 72 hours", "ncp-envelope keys request-deletion --key \"$KEY\"")],
    ),
    ("keys cancel-deletion", &[("Keep it", "ncp-envelope keys cancel-deletion --key \"$KEY\"")]),
    ("keys delete", &[("Delete a key at once", "ncp-envelope keys delete --key \"$KEY\"")]),
    ("keys acl", &[("Show the addresses", "ncp-envelope keys acl list --key \"$KEY\"")]),
    ("keys acl list", &[("Show the addresses", "ncp-envelope keys acl list --key \"$KEY\"")]),
    (
        "keys acl enable",
        &[("Refuse all other addresses", "ncp-envelope keys acl enable --key \"$KEY\"")],
    ),
    (
        "keys acl disable",
        &[("Accept all addresses", "ncp-envelope keys acl disable --key \"$KEY\"")],
    ),
    (
        "keys acl add",
        &[("Add two addresses", "ncp-envelope keys acl add --key \"$KEY\" 192.0.2.1 192.0.2.2")],
    ),
    ("keys acl remove", &[("Remove one", "ncp-envelope keys acl remove --key \"$KEY\" 192.0.2.1")]),
    (
        "keys activities",
        &[(
            "Show the last ten entries of today",
            "ncp-envelope keys activities --key \"$KEY\" --limit 10",
        )],
    ),
    (
        "keys last-use",
        &[("Show when a key was used last", "ncp-envelope keys last-use --key \"$KEY\"")],
    ),
    ("tokens", &[("Issue tokens into a file", "ncp-envelope tokens create --store tokens")]),
    (
        "tokens create",
        &[
            ("Issue tokens into a file", "ncp-envelope tokens create --store tokens"),
            (
                "Issue an access token for a day, for a program",
                "ncp-envelope tokens create --access-hours 24 --json",
            ),
        ],
    ),
    (
        "tokens renew",
        &[(
            "Replace the tokens in a file",
            "ncp-envelope tokens renew --token-store tokens --store",
        )],
    ),
    (
        "tokens access",
        &[(
            "Replace the access token in a file",
            "ncp-envelope tokens access --token-store tokens --store",
        )],
    ),
    (
        "tokens validate",
        &[(
            "Ask about the access token in a file",
            "ncp-envelope tokens validate --token-store tokens",
        )],
    ),
    ("tokens generator", &[("Show the token generator", "ncp-envelope tokens generator show")]),
    (
        "tokens generator show",
        &[("Show the token generator", "ncp-envelope tokens generator show")],
    ),
    ("tokens generator enable", &[("Permit tokens", "ncp-envelope tokens generator enable")]),
    (
        "tokens generator replace",
        &[("Void all tokens after one was lost", "ncp-envelope tokens generator replace")],
    ),
    (
        "tokens generator disable",
        &[("Void all tokens, and permit no new ones", "ncp-envelope tokens generator disable")],
    ),
    (
        "cipher",
        &[("Encrypt a short secret", "ncp-envelope cipher encrypt -o password.enc password")],
    ),
    (
        "cipher encrypt",
        &[
            ("Encrypt a short secret", "ncp-envelope cipher encrypt -o password.enc password"),
            ("The same without a file", "ncp-envelope cipher encrypt < password"),
        ],
    ),
    ("cipher decrypt", &[("Decrypt it", "ncp-envelope cipher decrypt -o restored password.enc")]),
    (
        "cipher re-encrypt",
        &[(
            "Move a ciphertext to the newest version",
            "ncp-envelope cipher re-encrypt -o newest.enc password.enc",
        )],
    ),
    (
        "cipher sign",
        &[(
            "Sign a file's checksum, because the service signs up to 8192 bytes",
            "sha256sum photo.jpg |\n\
             \x20\x20ncp-envelope cipher sign --key \"$SIGNER\" -o sig",
        )],
    ),
    (
        "cipher verify",
        &[(
            "Check it",
            "sha256sum photo.jpg |\n\
             \x20\x20ncp-envelope cipher verify --signature-file sig --key \"$SIGNER\"",
        )],
    ),
    (
        "cipher custom-key",
        &[(
            "Make a key, and keep it encrypted",
            "ncp-envelope cipher custom-key -o data-key.enc --plaintext data-key",
        )],
    ),
    (
        "cipher public-key",
        &[(
            "Write the public key, for programs that check signatures by themselves",
            "ncp-envelope cipher public-key --key \"$SIGNER\" -o key.pem",
        )],
    ),
    ("config", &[("Show what is set, and where", "ncp-envelope config show")]),
    (
        "config init",
        &[
            (
                "Write the profile that is used without being named",
                "ncp-envelope config init --endpoint kr --key \"$KEY\"",
            ),
            ("Write another one", "ncp-envelope config init --profile try --local"),
        ],
    ),
    ("config show", &[("Show what is set, and where", "ncp-envelope config show")]),
    ("config path", &[("Show where the configuration file is", "ncp-envelope config path")]),
    (
        "bench",
        &[("Measure with a small file, on this disk", "ncp-envelope bench --size 64MiB --dir .")],
    ),
    (
        "emulator",
        &[
            (
                "Start the emulator, and keep its keys",
                "ncp-envelope emulator --state keys --listen 127.0.0.1:8080",
            ),
            (
                "Start it from a script, which it does not outlive",
                "ncp-envelope emulator --exit-with-parent > connection.json &",
            ),
        ],
    ),
    (
        "completions",
        &[
            (
                "bash",
                "ncp-envelope completions bash \\\n\
                 \x20\x20> ~/.local/share/bash-completion/completions/ncp-envelope",
            ),
            ("zsh, in a directory of its fpath", "ncp-envelope completions zsh > _ncp-envelope"),
            (
                "fish",
                "ncp-envelope completions fish \\\n\
                 \x20\x20> ~/.config/fish/completions/ncp-envelope.fish",
            ),
        ],
    ),
    (
        "man",
        &[
            ("Read a page", "ncp-envelope man keys create | man -l -"),
            ("Install all pages", "ncp-envelope man --dir ~/.local/share/man/man1"),
        ],
    ),
];
