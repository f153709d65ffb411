-- A UUID is a key of a kind of its own. Under the one it had, no later write would find its document's letters.

UPDATE dead_letters SET key = jsonb_build_object(
    'kind', 'uuid',
    'text', encode(decode((key->>'text')::jsonb #>> '{$binary,base64}', 'base64'), 'hex')::uuid)
WHERE key->>'kind' = 'json'
    AND key->>'text' ~ '^\{"\$binary":\{"base64":"[A-Za-z0-9+/]{22}==","subType":"04"\}\}$';
