-- Wireshark dissector for the myenergi device-to-device protocol.
--
-- Written by `energi-gateway dissector` from the gateway's own field tables: to change it, change
-- those and run that command again. Copy it into the folder that Wireshark names under Help, About Wireshark,
-- Folders, Personal Lua Plugins, or load it with `tshark -X lua_script:myenergi.lua`.
--
-- Offsets count from the first byte after the Ethernet header, the first record at 0x18; in a later
-- record of the same frame the same offsets hold, with its own first byte standing at 0x18.
-- Numbers are little-endian. Confidence: A confirmed, B unconfirmed, C a guess.

local myenergi = Proto("myenergi", "myenergi device-to-device protocol")

