-- The flag that says that keys of other forms than grantd's own exist gets a name that no SQL keyword shares.

UPDATE meta SET name = 'has_opaque_keys' WHERE name = 'foreign_keys';
