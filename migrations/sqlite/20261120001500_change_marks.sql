-- Where the head of the change feed was at a time, so that its rows need none to tell how old they are.
CREATE TABLE change_mark (
    at       INTEGER NOT NULL PRIMARY KEY,
    sequence INTEGER NOT NULL
) STRICT;
