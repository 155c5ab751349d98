-- Until now a hint was the last four characters before the checksum, and was shown as the end of the secret, which it is
-- not. The end itself is not known any more, so those hints say that something follows. UUIDs and imported keys have no
-- checksum of ours: their hints are their ends.
UPDATE api_keys SET hint = hint || '…' WHERE form = 'prefixed' AND hint <> '';
UPDATE client_secrets SET hint = hint || '…' WHERE hint <> '';
