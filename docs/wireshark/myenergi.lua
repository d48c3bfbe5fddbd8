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

local ETHERTYPE = 0x88b5
local MAGIC = "\xCB\xDA\xE9\xF8"
local RECORDS = 0x18
local RECORD_HEADER = 6

local header_fields = {
  ["magic"] = ProtoField.bytes(
    "myenergi.magic", "Magic", base.SPACE,
    "always CB DA E9 F8. Confidence A, confirmed"),
  ["zeros"] = ProtoField.bytes(
    "myenergi.zeros", "Zeros", base.SPACE,
    "zero in every frame that mqtt-energi saw. Confidence B, unconfirmed"),
  ["one"] = ProtoField.uint8(
    "myenergi.one", "One", base.DEC_HEX, nil, 0,
    "1 in every frame that mqtt-energi saw. Confidence B, unconfirmed"),
  ["record.length"] = ProtoField.uint8(
    "myenergi.record.length", "Length", base.DEC_HEX, nil, 0,
    "size of the record in bytes, this one included; it selects the decoder. Confidence A, confirmed"),
  ["record.network"] = ProtoField.uint8(
    "myenergi.record.network", "Network", base.DEC_HEX, nil, 0,
    "differs between sites (0x53, 0xE5): never a reason to refuse a frame. Confidence A, confirmed"),
  ["record.type"] = ProtoField.uint16(
    "myenergi.record.type", "Record type", base.HEX, nil, 0,
    "what kind of record, little-endian; decoders refuse or require it. Confidence A, confirmed"),
  ["record.device"] = ProtoField.uint8(
    "myenergi.record.device", "Device", base.DEC_HEX, nil, 0,
    "bits 3 to 5 are the product class: 2 is a zappi, the others are unknown. Confidence B, unconfirmed"),
  ["record.flags"] = ProtoField.uint8(
    "myenergi.record.flags", "Flags", base.DEC_HEX, nil, 0,
    "only 0xFF, 0x04 and 0x01 were seen. Confidence C, a guess"),
}

local frame_header = {
  { id = "magic", at = 0x00, size = 4 },
  { id = "zeros", at = 0x04, size = 16 },
  { id = "one", at = 0x14, size = 1 },
  { id = "zeros", at = 0x15, size = 3 },
}

local record_header = {
  { id = "record.length", at = 0x18, size = 1 },
  { id = "record.network", at = 0x19, size = 1 },
  { id = "record.type", at = 0x1A, size = 2 },
  { id = "record.device", at = 0x1C, size = 1 },
  { id = "record.flags", at = 0x1D, size = 1 },
}

local value_fields = {
  ["harvi/relay"] = ProtoField.uint32(
    "myenergi.harvi.relay", "Relayed by", base.DEC, nil, 0,
    "0x18 at 0x1E: u32, confidence B (unconfirmed), experimental; 0x20 at 0x1E: u32, confidence B (unconfirmed), experimental; 0x28 at 0x1E: u32, confidence B (unconfirmed), experimental"),
  ["harvi/ct1_power"] = ProtoField.int32(
    "myenergi.harvi.ct1_power", "CT power", base.DEC, nil, 0,
    "W; 0x18 at 0x2A: i16, confidence B (unconfirmed), experimental; 0x20 at 0x2A: i16, confidence B (unconfirmed), experimental; 0x28 at 0x2A: i16, confidence B (unconfirmed), experimental"),
  ["harvi/ct1_current"] = ProtoField.double(
    "myenergi.harvi.ct1_current", "CT current",
    "A; 0x18 at 0x2C: i16 / 100, confidence B (unconfirmed), experimental; 0x20 at 0x2C: i16 / 100, confidence B (unconfirmed), experimental; 0x28 at 0x2C: i16 / 100, confidence B (unconfirmed), experimental"),
  ["frequency"] = ProtoField.double(
    "myenergi.frequency", "Frequency",
    "Hz; 0x1F at 0x22: u16 / 100, confidence A (confirmed); 0x20 at 0x22: u16 / 100, confidence B (unconfirmed)"),
  ["diverted_kWh"] = ProtoField.double(
    "myenergi.diverted_kWh", "Diverted today",
    "kWh; 0x1F at 0x2C: u16 / 100, confidence A (confirmed); 0x20 at 0x2C: u16 / 100, confidence A (confirmed)"),
  ["voltage"] = ProtoField.double(
    "myenergi.voltage", "Voltage",
    "V; 0x1F at 0x32: u16 / 10, confidence A (confirmed)"),
  ["stopped:7"] = ProtoField.bool(
    "myenergi.stopped", "Stopped", 8, nil, 0x80,
    "0x20 at 0x25: bit 7, confidence A (confirmed)"),
  ["max_power"] = ProtoField.int32(
    "myenergi.max_power", "Heater rating", base.DEC, nil, 0,
    "W; 0x20 at 0x26: u16, confidence B (unconfirmed)"),
  ["boost:4"] = ProtoField.bool(
    "myenergi.boost", "Boost", 8, nil, 0x10,
    "0x20 at 0x2E: bit 4, confidence A (confirmed)"),
  ["heater1:0"] = ProtoField.bool(
    "myenergi.heater1", "Heater 1 active", 8, nil, 0x01,
    "0x20 at 0x2F: bit 0, confidence A (confirmed)"),
  ["heater2:1"] = ProtoField.bool(
    "myenergi.heater2", "Heater 2 active", 8, nil, 0x02,
    "0x20 at 0x2F: bit 1, confidence A (confirmed)"),
  ["divert_pwr"] = ProtoField.int32(
    "myenergi.divert_pwr", "Divert power", base.DEC, nil, 0,
    "W; 0x20 at 0x34: u16, confidence A (confirmed); 0x22 at 0x32: i16, confidence A (confirmed)"),
  ["divert_cur"] = ProtoField.double(
    "myenergi.divert_cur", "Divert current",
    "A; 0x20 at 0x36: u16 / 100, confidence B (unconfirmed)"),
  ["harvi/ct2_power"] = ProtoField.int32(
    "myenergi.harvi.ct2_power", "CT power", base.DEC, nil, 0,
    "W; 0x20 at 0x32: i16, confidence B (unconfirmed), experimental; 0x28 at 0x32: i16, confidence B (unconfirmed), experimental"),
  ["harvi/ct2_current"] = ProtoField.double(
    "myenergi.harvi.ct2_current", "CT current",
    "A; 0x20 at 0x34: i16 / 100, confidence B (unconfirmed), experimental; 0x28 at 0x34: i16 / 100, confidence B (unconfirmed), experimental"),
  ["grid_pwr"] = ProtoField.int32(
    "myenergi.grid_pwr", "Grid power", base.DEC, nil, 0,
    "W; 0x22 at 0x1E: i16, confidence A (confirmed); 0x22 at 0x1E: i16, confidence A (confirmed)"),
  ["gen_pwr"] = ProtoField.int32(
    "myenergi.gen_pwr", "Generation power", base.DEC, nil, 0,
    "W; 0x22 at 0x22: i16, confidence A (confirmed); 0x22 at 0x22: i16, confidence A (confirmed)"),
  ["zappi/grid_pwr"] = ProtoField.int32(
    "myenergi.zappi.grid_pwr", "Grid power", base.DEC, nil, 0,
    "W; 0x23 at 0x1E: i32, confidence B (unconfirmed), experimental"),
  ["zappi/gen_pwr"] = ProtoField.int32(
    "myenergi.zappi.gen_pwr", "Generation power", base.DEC, nil, 0,
    "W; 0x23 at 0x22: i16, confidence C (a guess), experimental"),
  ["zappi/charge_power"] = ProtoField.int32(
    "myenergi.zappi.charge_power", "Charge power", base.DEC, nil, 0,
    "W; 0x23 at 0x31: i16, confidence B (unconfirmed), experimental; zappi status (any length) entry 0x08 of channel 1 at 4: i16, confidence B (unconfirmed), experimental"),
  ["0x27/frequency"] = ProtoField.double(
    "myenergi.x27.frequency", "Frequency",
    "Hz; 0x27 at 0x22: u16 / 100, confidence B (unconfirmed), experimental"),
  ["0x27/diverted_kWh"] = ProtoField.double(
    "myenergi.x27.diverted_kWh", "Energy",
    "kWh; 0x27 at 0x2C: u16 / 100, confidence B (unconfirmed), experimental"),
  ["0x27/fw1"] = ProtoField.int32(
    "myenergi.x27.fw1", "Firmware part 1", base.DEC, nil, 0,
    "0x27 at 0x38: i16, confidence C (a guess), experimental"),
  ["0x27/fw2"] = ProtoField.int32(
    "myenergi.x27.fw2", "Firmware part 2", base.DEC, nil, 0,
    "0x27 at 0x36: i16, confidence C (a guess), experimental"),
  ["0x27/v1"] = ProtoField.int32(
    "myenergi.x27.v1", "Unknown v1 (follows the divert power)", base.DEC, nil, 0,
    "0x27 at 0x3D: i8, confidence C (a guess), experimental"),
  ["0x27/v2"] = ProtoField.int32(
    "myenergi.x27.v2", "Unknown v2", base.DEC, nil, 0,
    "0x27 at 0x3C: i8, confidence C (a guess), experimental"),
  ["0x27/v3"] = ProtoField.int32(
    "myenergi.x27.v3", "Unknown v3", base.DEC, nil, 0,
    "0x27 at 0x3A: i16, confidence C (a guess), experimental"),
  ["0x27/v4"] = ProtoField.int32(
    "myenergi.x27.v4", "Unknown v4", base.DEC, nil, 0,
    "0x27 at 0x34: i16, confidence C (a guess), experimental"),
  ["0x27/V5"] = ProtoField.int32(
    "myenergi.x27.V5", "Unknown V5", base.DEC, nil, 0,
    "0x27 at 0x32: i16, confidence C (a guess), experimental"),
  ["0x27/v6"] = ProtoField.int32(
    "myenergi.x27.v6", "Unknown v6", base.DEC, nil, 0,
    "0x27 at 0x30: i16, confidence C (a guess), experimental"),
  ["0x27/v7"] = ProtoField.int32(
    "myenergi.x27.v7", "Unknown v7", base.DEC, nil, 0,
    "0x27 at 0x2E: i16, confidence C (a guess), experimental"),
  ["harvi/ct3_power"] = ProtoField.int32(
    "myenergi.harvi.ct3_power", "CT power", base.DEC, nil, 0,
    "W; 0x28 at 0x3A: i16, confidence B (unconfirmed), experimental"),
  ["harvi/ct3_current"] = ProtoField.double(
    "myenergi.harvi.ct3_current", "CT current",
    "A; 0x28 at 0x3C: i16 / 100, confidence B (unconfirmed), experimental"),
  ["0x2B/frequency"] = ProtoField.double(
    "myenergi.x2B.frequency", "Frequency",
    "Hz; 0x2B at 0x22: u16 / 100, confidence B (unconfirmed), experimental"),
  ["0x2B/diverted_kWh"] = ProtoField.double(
    "myenergi.x2B.diverted_kWh", "Energy",
    "kWh; 0x2B at 0x2C: u16 / 100, confidence B (unconfirmed), experimental"),
  ["0x2B/grid_pwr"] = ProtoField.int32(
    "myenergi.x2B.grid_pwr", "Grid power", base.DEC, nil, 0,
    "W; 0x2B at 0x34: i16, confidence B (unconfirmed), experimental"),
  ["0x2B/gen_pwr"] = ProtoField.int32(
    "myenergi.x2B.gen_pwr", "Generation power", base.DEC, nil, 0,
    "W; 0x2B at 0x3C: i16, confidence B (unconfirmed), experimental"),
  ["0x2B/divert_pwr"] = ProtoField.int32(
    "myenergi.x2B.divert_pwr", "Divert power", base.DEC, nil, 0,
    "W; 0x2B at 0x41: i16, confidence C (a guess), experimental"),
  ["0x36/v1"] = ProtoField.int32(
    "myenergi.x36.v1", "Unknown v1", base.DEC, nil, 0,
    "0x36 at 0x1C: i16, confidence C (a guess), experimental"),
  ["0x36/v2"] = ProtoField.int32(
    "myenergi.x36.v2", "Unknown v2", base.DEC, nil, 0,
    "0x36 at 0x1E: i16, confidence C (a guess), experimental"),
  ["0x36/v3"] = ProtoField.int32(
    "myenergi.x36.v3", "Unknown v3", base.DEC, nil, 0,
    "0x36 at 0x20: i16, confidence C (a guess), experimental"),
  ["0x36/v4"] = ProtoField.int32(
    "myenergi.x36.v4", "Unknown v4", base.DEC, nil, 0,
    "0x36 at 0x22: i16, confidence C (a guess), experimental"),
  ["0x36/v5"] = ProtoField.int32(
    "myenergi.x36.v5", "Unknown v5", base.DEC, nil, 0,
    "0x36 at 0x24: i16, confidence C (a guess), experimental"),
  ["0x36/v6"] = ProtoField.int32(
    "myenergi.x36.v6", "Unknown v6", base.DEC, nil, 0,
    "0x36 at 0x30: i16, confidence C (a guess), experimental"),
  ["0x36/v7"] = ProtoField.int32(
    "myenergi.x36.v7", "Unknown v7", base.DEC, nil, 0,
    "0x36 at 0x34: i16, confidence C (a guess), experimental"),
  ["0x36/v8"] = ProtoField.int32(
    "myenergi.x36.v8", "Unknown v8", base.DEC, nil, 0,
    "0x36 at 0x36: i16, confidence C (a guess), experimental"),
  ["0x36/v9"] = ProtoField.int32(
    "myenergi.x36.v9", "Unknown v9 (voltage?)", base.DEC, nil, 0,
    "0x36 at 0x38: i16, confidence C (a guess), experimental"),
  ["0x36/v10"] = ProtoField.int32(
    "myenergi.x36.v10", "Unknown v10 (frequency?)", base.DEC, nil, 0,
    "0x36 at 0x3A: i16, confidence C (a guess), experimental"),
  ["0x36/v11"] = ProtoField.int32(
    "myenergi.x36.v11", "Unknown v11 (heatsink temperature?)", base.DEC, nil, 0,
    "0x36 at 0x3C: i16, confidence C (a guess), experimental"),
  ["0x36/v12"] = ProtoField.int32(
    "myenergi.x36.v12", "Unknown v12", base.DEC, nil, 0,
    "0x36 at 0x3E: i16, confidence C (a guess), experimental"),
  ["0x36/v13"] = ProtoField.int32(
    "myenergi.x36.v13", "Unknown v13", base.DEC, nil, 0,
    "0x36 at 0x40: i16, confidence C (a guess), experimental"),
  ["0x36/v14"] = ProtoField.int32(
    "myenergi.x36.v14", "Unknown v14", base.DEC, nil, 0,
    "0x36 at 0x42: i16, confidence C (a guess), experimental"),
  ["0x36/v15"] = ProtoField.int32(
    "myenergi.x36.v15", "Unknown v15", base.DEC, nil, 0,
    "0x36 at 0x44: i16, confidence C (a guess), experimental"),
  ["0x36/v16"] = ProtoField.int32(
    "myenergi.x36.v16", "Unknown v16", base.DEC, nil, 0,
    "0x36 at 0x46: i16, confidence C (a guess), experimental"),
  ["0x36/v17"] = ProtoField.int32(
    "myenergi.x36.v17", "Unknown v17", base.DEC, nil, 0,
    "0x36 at 0x48: i16, confidence C (a guess), experimental"),
  ["minute_history/voltage"] = ProtoField.double(
    "myenergi.minute_history.voltage", "Voltage",
    "V; 0x36 at 0x38: u16 / 10, confidence B (unconfirmed), experimental"),
  ["minute_history/frequency"] = ProtoField.double(
    "myenergi.minute_history.frequency", "Frequency",
    "Hz; 0x36 at 0x3A: u16 / 100, confidence B (unconfirmed), experimental"),
  ["minute_history/heatsink"] = ProtoField.double(
    "myenergi.minute_history.heatsink", "Heatsink temperature",
    "°C; 0x36 at 0x3C: i16 / 10, confidence B (unconfirmed), experimental"),
  ["minute_history/generation"] = ProtoField.int32(
    "myenergi.minute_history.generation", "Generation power", base.DEC, nil, 0,
    "W; 0x36 at 0x30: i16, confidence B (unconfirmed), experimental"),
  ["0x37/v1"] = ProtoField.int32(
    "myenergi.x37.v1", "Unknown v1 (diverter power?)", base.DEC, nil, 0,
    "0x37 at 0x4D: i16, confidence C (a guess), experimental"),
  ["0x37/v2"] = ProtoField.int32(
    "myenergi.x37.v2", "Unknown v2", base.DEC, nil, 0,
    "0x37 at 0x3C: i8, confidence C (a guess), experimental"),
  ["0x37/v3"] = ProtoField.int32(
    "myenergi.x37.v3", "Unknown v3", base.DEC, nil, 0,
    "0x37 at 0x3A: i16, confidence C (a guess), experimental"),
  ["0x37/v4"] = ProtoField.int32(
    "myenergi.x37.v4", "Unknown v4", base.DEC, nil, 0,
    "0x37 at 0x34: i16, confidence C (a guess), experimental"),
  ["0x37/V5"] = ProtoField.int32(
    "myenergi.x37.V5", "Unknown V5", base.DEC, nil, 0,
    "0x37 at 0x32: i16, confidence C (a guess), experimental"),
  ["0x37/v6"] = ProtoField.int32(
    "myenergi.x37.v6", "Unknown v6", base.DEC, nil, 0,
    "0x37 at 0x30: i16, confidence C (a guess), experimental"),
  ["0x37/v7"] = ProtoField.int32(
    "myenergi.x37.v7", "Unknown v7", base.DEC, nil, 0,
    "0x37 at 0x2E: i16, confidence C (a guess), experimental"),
  ["0x38/v1"] = ProtoField.int32(
    "myenergi.x38.v1", "Unknown v1", base.DEC, nil, 0,
    "0x38 at 0x20: i16, confidence C (a guess), experimental"),
  ["0x38/v2"] = ProtoField.int32(
    "myenergi.x38.v2", "Unknown v2", base.DEC, nil, 0,
    "0x38 at 0x22: i16, confidence C (a guess), experimental"),
  ["0x38/v3"] = ProtoField.int32(
    "myenergi.x38.v3", "Unknown v3 (frequency?)", base.DEC, nil, 0,
    "0x38 at 0x24: i16, confidence C (a guess), experimental"),
  ["0x38/v4"] = ProtoField.int32(
    "myenergi.x38.v4", "Unknown v4 (voltage?)", base.DEC, nil, 0,
    "0x38 at 0x26: i16, confidence C (a guess), experimental"),
  ["0x38/v5"] = ProtoField.int32(
    "myenergi.x38.v5", "Unknown v5", base.DEC, nil, 0,
    "0x38 at 0x28: i16, confidence C (a guess), experimental"),
  ["0x38/v6"] = ProtoField.int32(
    "myenergi.x38.v6", "Unknown v6", base.DEC, nil, 0,
    "0x38 at 0x2A: i16, confidence C (a guess), experimental"),
  ["0x38/v7"] = ProtoField.int32(
    "myenergi.x38.v7", "Unknown v7", base.DEC, nil, 0,
    "0x38 at 0x2C: i16, confidence C (a guess), experimental"),
  ["0x38/v8"] = ProtoField.int32(
    "myenergi.x38.v8", "Unknown v8", base.DEC, nil, 0,
    "0x38 at 0x2E: i16, confidence C (a guess), experimental"),
  ["0x38/v9"] = ProtoField.int32(
    "myenergi.x38.v9", "Unknown v9", base.DEC, nil, 0,
    "0x38 at 0x30: i16, confidence C (a guess), experimental"),
  ["0x38/v10"] = ProtoField.int32(
    "myenergi.x38.v10", "Unknown v10", base.DEC, nil, 0,
    "0x38 at 0x32: i16, confidence C (a guess), experimental"),
  ["0x38/v11"] = ProtoField.int32(
    "myenergi.x38.v11", "Unknown v11", base.DEC, nil, 0,
    "0x38 at 0x34: i16, confidence C (a guess), experimental"),
  ["0x38/v12"] = ProtoField.int32(
    "myenergi.x38.v12", "Unknown v12", base.DEC, nil, 0,
    "0x38 at 0x36: i16, confidence C (a guess), experimental"),
  ["0x38/v13"] = ProtoField.int32(
    "myenergi.x38.v13", "Unknown v13", base.DEC, nil, 0,
    "0x38 at 0x38: i16, confidence C (a guess), experimental"),
  ["0x38/v14"] = ProtoField.int32(
    "myenergi.x38.v14", "Unknown v14", base.DEC, nil, 0,
    "0x38 at 0x3A: i16, confidence C (a guess), experimental"),
  ["0x38/v15"] = ProtoField.int32(
    "myenergi.x38.v15", "Unknown v15", base.DEC, nil, 0,
    "0x38 at 0x3C: i16, confidence C (a guess), experimental"),
  ["0x38/v16"] = ProtoField.int32(
    "myenergi.x38.v16", "Unknown v16", base.DEC, nil, 0,
    "0x38 at 0x3E: i16, confidence C (a guess), experimental"),
  ["0x3A/v2"] = ProtoField.int32(
    "myenergi.x3A.v2", "Unknown v2", base.DEC, nil, 0,
    "0x3A at 0x22: i16, confidence C (a guess), experimental"),
  ["0x3A/v3"] = ProtoField.int32(
    "myenergi.x3A.v3", "Unknown v3", base.DEC, nil, 0,
    "0x3A at 0x24: i16, confidence C (a guess), experimental"),
  ["0x3A/v4"] = ProtoField.int32(
    "myenergi.x3A.v4", "Unknown v4", base.DEC, nil, 0,
    "0x3A at 0x26: i16, confidence C (a guess), experimental"),
  ["0x3A/v5"] = ProtoField.int32(
    "myenergi.x3A.v5", "Unknown v5", base.DEC, nil, 0,
    "0x3A at 0x28: i16, confidence C (a guess), experimental"),
  ["0x3A/v6"] = ProtoField.int32(
    "myenergi.x3A.v6", "Unknown v6", base.DEC, nil, 0,
    "0x3A at 0x2A: i16, confidence C (a guess), experimental"),
  ["0x3A/v7"] = ProtoField.int32(
    "myenergi.x3A.v7", "Unknown v7", base.DEC, nil, 0,
    "0x3A at 0x2C: i16, confidence C (a guess), experimental"),
  ["0x3A/v8"] = ProtoField.int32(
    "myenergi.x3A.v8", "Unknown v8", base.DEC, nil, 0,
    "0x3A at 0x2E: i16, confidence C (a guess), experimental"),
  ["0x3A/v9"] = ProtoField.int32(
    "myenergi.x3A.v9", "Unknown v9", base.DEC, nil, 0,
    "0x3A at 0x30: i16, confidence C (a guess), experimental"),
  ["0x3A/v10"] = ProtoField.int32(
    "myenergi.x3A.v10", "Unknown v10", base.DEC, nil, 0,
    "0x3A at 0x32: i16, confidence C (a guess), experimental"),
  ["0x3A/v11"] = ProtoField.int32(
    "myenergi.x3A.v11", "Unknown v11", base.DEC, nil, 0,
    "0x3A at 0x34: i16, confidence C (a guess), experimental"),
  ["0x3A/v12"] = ProtoField.int32(
    "myenergi.x3A.v12", "Unknown v12", base.DEC, nil, 0,
    "0x3A at 0x36: i16, confidence C (a guess), experimental"),
  ["0x3A/v13"] = ProtoField.int32(
    "myenergi.x3A.v13", "Unknown v13", base.DEC, nil, 0,
    "0x3A at 0x38: i16, confidence C (a guess), experimental"),
  ["0x3A/v14"] = ProtoField.int32(
    "myenergi.x3A.v14", "Unknown v14", base.DEC, nil, 0,
    "0x3A at 0x44: i16, confidence C (a guess), experimental"),
  ["0x3A/v15"] = ProtoField.int32(
    "myenergi.x3A.v15", "Unknown v15", base.DEC, nil, 0,
    "0x3A at 0x42: i16, confidence C (a guess), experimental"),
  ["eddi/priority"] = ProtoField.string(
    "myenergi.eddi.priority", "Heater priority",
    "eddi settings (any length) at 0x25: bit 5, confidence B (unconfirmed), experimental"),
  ["eddi/check_period"] = ProtoField.double(
    "myenergi.eddi.check_period", "Heater check period",
    "min; eddi settings (any length) at 0x25: bits 0-4 / 0.2, confidence B (unconfirmed), experimental"),
  ["eddi/hot:3"] = ProtoField.bool(
    "myenergi.eddi.hot", "Heater hot", 8, nil, 0x08,
    "eddi settings (any length) at 0x2E: bit 3, confidence C (a guess), experimental"),
  ["status/frequency"] = ProtoField.double(
    "myenergi.status.frequency", "Frequency",
    "Hz; device status (any length) at 0x22: u16 / 100, confidence B (unconfirmed), experimental"),
  ["status/rating"] = ProtoField.int32(
    "myenergi.status.rating", "Rating", base.DEC, nil, 0,
    "W; device status (any length) at 0x26: u16, confidence B (unconfirmed), experimental"),
  ["status/energy"] = ProtoField.double(
    "myenergi.status.energy", "Energy",
    "kWh; device status (any length) at 0x2C: u16 / 100, confidence C (a guess), experimental"),
  ["status/priority"] = ProtoField.int32(
    "myenergi.status.priority", "Priority", base.DEC, nil, 0,
    "device status (any length) at 0x2E: bits 0-2, confidence B (unconfirmed), experimental"),
  ["status/voltage"] = ProtoField.double(
    "myenergi.status.voltage", "Voltage",
    "V; device status (any length) entry 0x14 at 2: u16 / 10, confidence A (confirmed), experimental"),
  ["status/ct1_power"] = ProtoField.int32(
    "myenergi.status.ct1_power", "CT power", base.DEC, nil, 0,
    "W; device status (any length) entry 0x08 of channel 1 at 4: i16, confidence B (unconfirmed), experimental"),
  ["status/ct1_current"] = ProtoField.double(
    "myenergi.status.ct1_current", "CT current",
    "A; device status (any length) entry 0x08 of channel 1 at 6: i16 / 100, confidence B (unconfirmed), experimental"),
  ["status/ct2_power"] = ProtoField.int32(
    "myenergi.status.ct2_power", "CT power", base.DEC, nil, 0,
    "W; device status (any length) entry 0x08 of channel 2 at 4: i16, confidence B (unconfirmed), experimental"),
  ["status/ct2_current"] = ProtoField.double(
    "myenergi.status.ct2_current", "CT current",
    "A; device status (any length) entry 0x08 of channel 2 at 6: i16 / 100, confidence B (unconfirmed), experimental"),
  ["status/ct3_power"] = ProtoField.int32(
    "myenergi.status.ct3_power", "CT power", base.DEC, nil, 0,
    "W; device status (any length) entry 0x08 of channel 3 at 4: i16, confidence B (unconfirmed), experimental"),
  ["status/ct3_current"] = ProtoField.double(
    "myenergi.status.ct3_current", "CT current",
    "A; device status (any length) entry 0x08 of channel 3 at 6: i16 / 100, confidence B (unconfirmed), experimental"),
  ["status/ct4_power"] = ProtoField.int32(
    "myenergi.status.ct4_power", "CT power", base.DEC, nil, 0,
    "W; device status (any length) entry 0x08 of channel 4 at 4: i16, confidence B (unconfirmed), experimental"),
  ["status/ct4_current"] = ProtoField.double(
    "myenergi.status.ct4_current", "CT current",
    "A; device status (any length) entry 0x08 of channel 4 at 6: i16 / 100, confidence B (unconfirmed), experimental"),
  ["status/ct5_power"] = ProtoField.int32(
    "myenergi.status.ct5_power", "CT power", base.DEC, nil, 0,
    "W; device status (any length) entry 0x08 of channel 5 at 4: i16, confidence B (unconfirmed), experimental"),
  ["status/ct5_current"] = ProtoField.double(
    "myenergi.status.ct5_current", "CT current",
    "A; device status (any length) entry 0x08 of channel 5 at 6: i16 / 100, confidence B (unconfirmed), experimental"),
  ["status/ct6_power"] = ProtoField.int32(
    "myenergi.status.ct6_power", "CT power", base.DEC, nil, 0,
    "W; device status (any length) entry 0x08 of channel 6 at 4: i16, confidence B (unconfirmed), experimental"),
  ["status/ct6_current"] = ProtoField.double(
    "myenergi.status.ct6_current", "CT current",
    "A; device status (any length) entry 0x08 of channel 6 at 6: i16 / 100, confidence B (unconfirmed), experimental"),
  ["status/tail"] = ProtoField.int32(
    "myenergi.status.tail", "Tail (follows the divert power)", base.DEC, nil, 0,
    "device status (any length) entry 0x?3 at 1: i16, confidence C (a guess), experimental"),
  ["zappi/mode"] = ProtoField.string(
    "myenergi.zappi.mode", "Mode",
    "zappi status (any length) at 0x2F: bits 0-1, confidence B (unconfirmed), experimental"),
  ["zappi/session_kWh"] = ProtoField.double(
    "myenergi.zappi.session_kWh", "Charged in this session",
    "kWh; zappi status (any length) at 0x2C: u16 / 100, confidence C (a guess), experimental"),
  ["zappi/boosting:4"] = ProtoField.bool(
    "myenergi.zappi.boosting", "Boosting", 8, nil, 0x10,
    "zappi status (any length) at 0x2E: bit 4, confidence C (a guess), experimental"),
  ["zappi/command_answered:7"] = ProtoField.bool(
    "myenergi.zappi.command_answered", "Command answered", 8, nil, 0x80,
    "zappi status (any length) at 0x25: bit 7, confidence B (unconfirmed), experimental"),
  ["zappi/command_accepted:3"] = ProtoField.bool(
    "myenergi.zappi.command_accepted", "Command accepted", 8, nil, 0x08,
    "zappi status (any length) at 0x25: bit 3, confidence B (unconfirmed), experimental"),
  ["zappi/command_sequence"] = ProtoField.int32(
    "myenergi.zappi.command_sequence", "Command number", base.DEC, nil, 0,
    "zappi status (any length) at 0x25: bits 0-2, confidence B (unconfirmed), experimental"),
}

local decoders = {
  [0x18] = {
    { name = "harvi, 1 CT", status = "experimental", serial = 0x22, types = { [0x3730] = true }, fields = {
      { id = "harvi/relay", key = "harvi/relay", label = "Relayed by", at = 0x1E, as = "u32", confidence = "B" },
      { id = "harvi/ct1_power", key = "harvi/ct1_power", label = "CT power", at = 0x2A, as = "i16", unit = "W", confidence = "B" },
      { id = "harvi/ct1_current", key = "harvi/ct1_current", label = "CT current", at = 0x2C, as = "i16", divide = 100, scaled = true, unit = "A", confidence = "B" },
    } },
  },
  [0x1F] = {
    { name = "eddi data 1", status = "confirmed", serial = 0x1E, other_types = { [0x3730] = true, [0x5A5A] = true, [0x7979] = true, [0x7C7C] = true }, other_class = 2, fields = {
      { id = "frequency", key = "frequency", label = "Frequency", at = 0x22, as = "u16", divide = 100, scaled = true, unit = "Hz", confidence = "A" },
      { id = "diverted_kWh", key = "diverted_kWh", label = "Diverted today", at = 0x2C, as = "u16", divide = 100, scaled = true, unit = "kWh", confidence = "A" },
      { id = "voltage", key = "voltage", label = "Voltage", at = 0x32, as = "u16", divide = 10, scaled = true, unit = "V", confidence = "A" },
    } },
  },
  [0x20] = {
    { name = "eddi data 2", status = "confirmed", serial = 0x1E, other_types = { [0x3730] = true, [0x5A5A] = true, [0x7979] = true, [0x7C7C] = true }, other_class = 2, fields = {
      { id = "frequency", key = "frequency", label = "Frequency", at = 0x22, as = "u16", divide = 100, scaled = true, unit = "Hz", confidence = "B" },
      { id = "stopped:7", key = "stopped", label = "Stopped", at = 0x25, as = "bit", bit = 7, confidence = "A" },
      { id = "max_power", key = "max_power", label = "Heater rating", at = 0x26, as = "u16", unit = "W", confidence = "B" },
      { id = "diverted_kWh", key = "diverted_kWh", label = "Diverted today", at = 0x2C, as = "u16", divide = 100, scaled = true, unit = "kWh", confidence = "A" },
      { id = "boost:4", key = "boost", label = "Boost", at = 0x2E, as = "bit", bit = 4, confidence = "A" },
      { id = "heater1:0", key = "heater1", label = "Heater 1 active", at = 0x2F, as = "bit", bit = 0, confidence = "A" },
      { id = "heater2:1", key = "heater2", label = "Heater 2 active", at = 0x2F, as = "bit", bit = 1, confidence = "A" },
      { id = "divert_pwr", key = "divert_pwr", label = "Divert power", at = 0x34, as = "u16", unit = "W", confidence = "A" },
      { id = "divert_cur", key = "divert_cur", label = "Divert current", at = 0x36, as = "u16", divide = 100, scaled = true, unit = "A", confidence = "B" },
    } },
    { name = "harvi, 2 CTs", status = "experimental", serial = 0x22, types = { [0x3730] = true }, fields = {
      { id = "harvi/relay", key = "harvi/relay", label = "Relayed by", at = 0x1E, as = "u32", confidence = "B" },
      { id = "harvi/ct1_power", key = "harvi/ct1_power", label = "CT power", at = 0x2A, as = "i16", unit = "W", confidence = "B" },
      { id = "harvi/ct1_current", key = "harvi/ct1_current", label = "CT current", at = 0x2C, as = "i16", divide = 100, scaled = true, unit = "A", confidence = "B" },
      { id = "harvi/ct2_power", key = "harvi/ct2_power", label = "CT power", at = 0x32, as = "i16", unit = "W", confidence = "B" },
      { id = "harvi/ct2_current", key = "harvi/ct2_current", label = "CT current", at = 0x34, as = "i16", divide = 100, scaled = true, unit = "A", confidence = "B" },
    } },
  },
  [0x22] = {
    { name = "CT readings", status = "confirmed", serial = 0x2E, other_types = { [0x3730] = true, [0x5A5A] = true, [0x7979] = true, [0x7C7C] = true }, other_class = 2, fields = {
      { id = "grid_pwr", key = "grid_pwr", label = "Grid power", at = 0x1E, as = "i16", unit = "W", confidence = "A" },
      { id = "gen_pwr", key = "gen_pwr", label = "Generation power", at = 0x22, as = "i16", unit = "W", confidence = "A" },
      { id = "divert_pwr", key = "divert_pwr", label = "Divert power", at = 0x32, as = "i16", unit = "W", confidence = "A" },
    } },
    { name = "CT readings of a zappi", status = "confirmed", serial = 0x2E, other_types = { [0x3730] = true, [0x5A5A] = true, [0x7979] = true, [0x7C7C] = true }, class = 2, fields = {
      { id = "grid_pwr", key = "grid_pwr", label = "Grid power", at = 0x1E, as = "i16", unit = "W", confidence = "A" },
      { id = "gen_pwr", key = "gen_pwr", label = "Generation power", at = 0x22, as = "i16", unit = "W", confidence = "A" },
    } },
  },
  [0x23] = {
    { name = "zappi summary", status = "experimental", serial = 0x2D, types = { [0x3600] = true, [0x3601] = true }, class = 2, fields = {
      { id = "zappi/grid_pwr", key = "zappi/grid_pwr", label = "Grid power", at = 0x1E, as = "i32", unit = "W", confidence = "B" },
      { id = "zappi/gen_pwr", key = "zappi/gen_pwr", label = "Generation power", at = 0x22, as = "i16", unit = "W", confidence = "C" },
      { id = "zappi/charge_power", key = "zappi/charge_power", label = "Charge power", at = 0x31, as = "i16", unit = "W", confidence = "B" },
    } },
  },
  [0x27] = {
    { name = "eddi data 4", status = "experimental", serial = 0x1E, other_types = { [0x3730] = true, [0x5A5A] = true, [0x7979] = true, [0x7C7C] = true }, other_class = 2, fields = {
      { id = "0x27/frequency", key = "0x27/frequency", label = "Frequency", at = 0x22, as = "u16", divide = 100, scaled = true, unit = "Hz", confidence = "B" },
      { id = "0x27/diverted_kWh", key = "0x27/diverted_kWh", label = "Energy", at = 0x2C, as = "u16", divide = 100, scaled = true, unit = "kWh", confidence = "B" },
      { id = "0x27/fw1", key = "0x27/fw1", label = "Firmware part 1", at = 0x38, as = "i16", confidence = "C" },
      { id = "0x27/fw2", key = "0x27/fw2", label = "Firmware part 2", at = 0x36, as = "i16", confidence = "C" },
      { id = "0x27/v1", key = "0x27/v1", label = "Unknown v1 (follows the divert power)", at = 0x3D, as = "i8", confidence = "C" },
      { id = "0x27/v2", key = "0x27/v2", label = "Unknown v2", at = 0x3C, as = "i8", confidence = "C" },
      { id = "0x27/v3", key = "0x27/v3", label = "Unknown v3", at = 0x3A, as = "i16", confidence = "C" },
      { id = "0x27/v4", key = "0x27/v4", label = "Unknown v4", at = 0x34, as = "i16", confidence = "C" },
      { id = "0x27/V5", key = "0x27/V5", label = "Unknown V5", at = 0x32, as = "i16", confidence = "C" },
      { id = "0x27/v6", key = "0x27/v6", label = "Unknown v6", at = 0x30, as = "i16", confidence = "C" },
      { id = "0x27/v7", key = "0x27/v7", label = "Unknown v7", at = 0x2E, as = "i16", confidence = "C" },
    } },
  },
  [0x28] = {
    { name = "harvi, 3 CTs", status = "experimental", serial = 0x22, types = { [0x3730] = true }, fields = {
      { id = "harvi/relay", key = "harvi/relay", label = "Relayed by", at = 0x1E, as = "u32", confidence = "B" },
      { id = "harvi/ct1_power", key = "harvi/ct1_power", label = "CT power", at = 0x2A, as = "i16", unit = "W", confidence = "B" },
      { id = "harvi/ct1_current", key = "harvi/ct1_current", label = "CT current", at = 0x2C, as = "i16", divide = 100, scaled = true, unit = "A", confidence = "B" },
      { id = "harvi/ct2_power", key = "harvi/ct2_power", label = "CT power", at = 0x32, as = "i16", unit = "W", confidence = "B" },
      { id = "harvi/ct2_current", key = "harvi/ct2_current", label = "CT current", at = 0x34, as = "i16", divide = 100, scaled = true, unit = "A", confidence = "B" },
      { id = "harvi/ct3_power", key = "harvi/ct3_power", label = "CT power", at = 0x3A, as = "i16", unit = "W", confidence = "B" },
      { id = "harvi/ct3_current", key = "harvi/ct3_current", label = "CT current", at = 0x3C, as = "i16", divide = 100, scaled = true, unit = "A", confidence = "B" },
    } },
  },
  [0x2B] = {
    { name = "eddi data 3", status = "experimental", serial = 0x1E, other_types = { [0x3730] = true, [0x5A5A] = true, [0x7979] = true, [0x7C7C] = true }, other_class = 2, fields = {
      { id = "0x2B/frequency", key = "0x2B/frequency", label = "Frequency", at = 0x22, as = "u16", divide = 100, scaled = true, unit = "Hz", confidence = "B" },
      { id = "0x2B/diverted_kWh", key = "0x2B/diverted_kWh", label = "Energy", at = 0x2C, as = "u16", divide = 100, scaled = true, unit = "kWh", confidence = "B" },
      { id = "0x2B/grid_pwr", key = "0x2B/grid_pwr", label = "Grid power", at = 0x34, as = "i16", unit = "W", confidence = "B" },
      { id = "0x2B/gen_pwr", key = "0x2B/gen_pwr", label = "Generation power", at = 0x3C, as = "i16", unit = "W", confidence = "B" },
      { id = "0x2B/divert_pwr", key = "0x2B/divert_pwr", label = "Divert power", at = 0x41, as = "i16", unit = "W", confidence = "C" },
    } },
  },
  [0x36] = {
    { name = "unknown 0x36", status = "experimental", serial = 0x4A, other_types = { [0x3730] = true, [0x7979] = true, [0x7C7C] = true }, fields = {
      { id = "0x36/v1", key = "0x36/v1", label = "Unknown v1", at = 0x1C, as = "i16", confidence = "C" },
      { id = "0x36/v2", key = "0x36/v2", label = "Unknown v2", at = 0x1E, as = "i16", confidence = "C" },
      { id = "0x36/v3", key = "0x36/v3", label = "Unknown v3", at = 0x20, as = "i16", confidence = "C" },
      { id = "0x36/v4", key = "0x36/v4", label = "Unknown v4", at = 0x22, as = "i16", confidence = "C" },
      { id = "0x36/v5", key = "0x36/v5", label = "Unknown v5", at = 0x24, as = "i16", confidence = "C" },
      { id = "0x36/v6", key = "0x36/v6", label = "Unknown v6", at = 0x30, as = "i16", confidence = "C" },
      { id = "0x36/v7", key = "0x36/v7", label = "Unknown v7", at = 0x34, as = "i16", confidence = "C" },
      { id = "0x36/v8", key = "0x36/v8", label = "Unknown v8", at = 0x36, as = "i16", confidence = "C" },
      { id = "0x36/v9", key = "0x36/v9", label = "Unknown v9 (voltage?)", at = 0x38, as = "i16", confidence = "C" },
      { id = "0x36/v10", key = "0x36/v10", label = "Unknown v10 (frequency?)", at = 0x3A, as = "i16", confidence = "C" },
      { id = "0x36/v11", key = "0x36/v11", label = "Unknown v11 (heatsink temperature?)", at = 0x3C, as = "i16", confidence = "C" },
      { id = "0x36/v12", key = "0x36/v12", label = "Unknown v12", at = 0x3E, as = "i16", confidence = "C" },
      { id = "0x36/v13", key = "0x36/v13", label = "Unknown v13", at = 0x40, as = "i16", confidence = "C" },
      { id = "0x36/v14", key = "0x36/v14", label = "Unknown v14", at = 0x42, as = "i16", confidence = "C" },
      { id = "0x36/v15", key = "0x36/v15", label = "Unknown v15", at = 0x44, as = "i16", confidence = "C" },
      { id = "0x36/v16", key = "0x36/v16", label = "Unknown v16", at = 0x46, as = "i16", confidence = "C" },
      { id = "0x36/v17", key = "0x36/v17", label = "Unknown v17", at = 0x48, as = "i16", confidence = "C" },
    } },
    { name = "minute history", status = "experimental", serial = 0x4A, types = { [0x5A5A] = true }, fields = {
      { id = "minute_history/voltage", key = "minute_history/voltage", label = "Voltage", at = 0x38, as = "u16", divide = 10, scaled = true, unit = "V", confidence = "B" },
      { id = "minute_history/frequency", key = "minute_history/frequency", label = "Frequency", at = 0x3A, as = "u16", divide = 100, scaled = true, unit = "Hz", confidence = "B" },
      { id = "minute_history/heatsink", key = "minute_history/heatsink", label = "Heatsink temperature", at = 0x3C, as = "i16", divide = 10, scaled = true, unit = "°C", confidence = "B" },
      { id = "minute_history/generation", key = "minute_history/generation", label = "Generation power", at = 0x30, as = "i16", unit = "W", confidence = "B" },
    } },
  },
  [0x37] = {
    { name = "unknown 0x37", status = "experimental", serial = 0x1E, other_types = { [0x3730] = true, [0x5A5A] = true, [0x7979] = true, [0x7C7C] = true }, fields = {
      { id = "0x37/v1", key = "0x37/v1", label = "Unknown v1 (diverter power?)", at = 0x4D, as = "i16", confidence = "C" },
      { id = "0x37/v2", key = "0x37/v2", label = "Unknown v2", at = 0x3C, as = "i8", confidence = "C" },
      { id = "0x37/v3", key = "0x37/v3", label = "Unknown v3", at = 0x3A, as = "i16", confidence = "C" },
      { id = "0x37/v4", key = "0x37/v4", label = "Unknown v4", at = 0x34, as = "i16", confidence = "C" },
      { id = "0x37/V5", key = "0x37/V5", label = "Unknown V5", at = 0x32, as = "i16", confidence = "C" },
      { id = "0x37/v6", key = "0x37/v6", label = "Unknown v6", at = 0x30, as = "i16", confidence = "C" },
      { id = "0x37/v7", key = "0x37/v7", label = "Unknown v7", at = 0x2E, as = "i16", confidence = "C" },
    } },
  },
  [0x38] = {
    { name = "unknown 0x38", status = "experimental", serial = 0x1E, other_types = { [0x3730] = true, [0x5A5A] = true, [0x7979] = true, [0x7C7C] = true }, fields = {
      { id = "0x38/v1", key = "0x38/v1", label = "Unknown v1", at = 0x20, as = "i16", confidence = "C" },
      { id = "0x38/v2", key = "0x38/v2", label = "Unknown v2", at = 0x22, as = "i16", confidence = "C" },
      { id = "0x38/v3", key = "0x38/v3", label = "Unknown v3 (frequency?)", at = 0x24, as = "i16", confidence = "C" },
      { id = "0x38/v4", key = "0x38/v4", label = "Unknown v4 (voltage?)", at = 0x26, as = "i16", confidence = "C" },
      { id = "0x38/v5", key = "0x38/v5", label = "Unknown v5", at = 0x28, as = "i16", confidence = "C" },
      { id = "0x38/v6", key = "0x38/v6", label = "Unknown v6", at = 0x2A, as = "i16", confidence = "C" },
      { id = "0x38/v7", key = "0x38/v7", label = "Unknown v7", at = 0x2C, as = "i16", confidence = "C" },
      { id = "0x38/v8", key = "0x38/v8", label = "Unknown v8", at = 0x2E, as = "i16", confidence = "C" },
      { id = "0x38/v9", key = "0x38/v9", label = "Unknown v9", at = 0x30, as = "i16", confidence = "C" },
      { id = "0x38/v10", key = "0x38/v10", label = "Unknown v10", at = 0x32, as = "i16", confidence = "C" },
      { id = "0x38/v11", key = "0x38/v11", label = "Unknown v11", at = 0x34, as = "i16", confidence = "C" },
      { id = "0x38/v12", key = "0x38/v12", label = "Unknown v12", at = 0x36, as = "i16", confidence = "C" },
      { id = "0x38/v13", key = "0x38/v13", label = "Unknown v13", at = 0x38, as = "i16", confidence = "C" },
      { id = "0x38/v14", key = "0x38/v14", label = "Unknown v14", at = 0x3A, as = "i16", confidence = "C" },
      { id = "0x38/v15", key = "0x38/v15", label = "Unknown v15", at = 0x3C, as = "i16", confidence = "C" },
      { id = "0x38/v16", key = "0x38/v16", label = "Unknown v16", at = 0x3E, as = "i16", confidence = "C" },
    } },
  },
  [0x3A] = {
    { name = "unknown 0x3A", status = "experimental", serial = 0x1E, other_types = { [0x3730] = true, [0x5A5A] = true, [0x7979] = true, [0x7C7C] = true }, fields = {
      { id = "0x3A/v2", key = "0x3A/v2", label = "Unknown v2", at = 0x22, as = "i16", confidence = "C" },
      { id = "0x3A/v3", key = "0x3A/v3", label = "Unknown v3", at = 0x24, as = "i16", confidence = "C" },
      { id = "0x3A/v4", key = "0x3A/v4", label = "Unknown v4", at = 0x26, as = "i16", confidence = "C" },
      { id = "0x3A/v5", key = "0x3A/v5", label = "Unknown v5", at = 0x28, as = "i16", confidence = "C" },
      { id = "0x3A/v6", key = "0x3A/v6", label = "Unknown v6", at = 0x2A, as = "i16", confidence = "C" },
      { id = "0x3A/v7", key = "0x3A/v7", label = "Unknown v7", at = 0x2C, as = "i16", confidence = "C" },
      { id = "0x3A/v8", key = "0x3A/v8", label = "Unknown v8", at = 0x2E, as = "i16", confidence = "C" },
      { id = "0x3A/v9", key = "0x3A/v9", label = "Unknown v9", at = 0x30, as = "i16", confidence = "C" },
      { id = "0x3A/v10", key = "0x3A/v10", label = "Unknown v10", at = 0x32, as = "i16", confidence = "C" },
      { id = "0x3A/v11", key = "0x3A/v11", label = "Unknown v11", at = 0x34, as = "i16", confidence = "C" },
      { id = "0x3A/v12", key = "0x3A/v12", label = "Unknown v12", at = 0x36, as = "i16", confidence = "C" },
      { id = "0x3A/v13", key = "0x3A/v13", label = "Unknown v13", at = 0x38, as = "i16", confidence = "C" },
      { id = "0x3A/v14", key = "0x3A/v14", label = "Unknown v14", at = 0x44, as = "i16", confidence = "C" },
      { id = "0x3A/v15", key = "0x3A/v15", label = "Unknown v15", at = 0x42, as = "i16", confidence = "C" },
    } },
  },
}

local decoders_of_any_length = {
    { name = "eddi settings", status = "experimental", serial = 0x1E, types = { [0x3510] = true }, other_class = 2, entries = 0x30, fields = {
      { id = "eddi/priority", key = "eddi/priority", label = "Heater priority", at = 0x25, as = "bit", bit = 5, words = { "heater 1", "heater 2" }, confidence = "B" },
      { id = "eddi/check_period", key = "eddi/check_period", label = "Heater check period", at = 0x25, as = "bits", bit = 0, count = 5, divide = 0.2, scaled = true, unit = "min", confidence = "B" },
      { id = "eddi/hot:3", key = "eddi/hot", label = "Heater hot", at = 0x2E, as = "bit", bit = 3, confidence = "C" },
    } },
    { name = "device status", status = "experimental", serial = 0x1E, types = { [0x3510] = true }, entries = 0x30, fields = {
      { id = "status/frequency", key = "status/frequency", label = "Frequency", at = 0x22, as = "u16", divide = 100, scaled = true, unit = "Hz", confidence = "B" },
      { id = "status/rating", key = "status/rating", label = "Rating", at = 0x26, as = "u16", unit = "W", confidence = "B" },
      { id = "status/energy", key = "status/energy", label = "Energy", at = 0x2C, as = "u16", divide = 100, scaled = true, unit = "kWh", confidence = "C" },
      { id = "status/priority", key = "status/priority", label = "Priority", at = 0x2E, as = "bits", bit = 0, count = 3, confidence = "B" },
      { id = "status/voltage", key = "status/voltage", label = "Voltage", at = 0x02, head = 0x14, as = "u16", divide = 10, scaled = true, unit = "V", confidence = "A" },
      { id = "status/ct1_power", key = "status/ct1_power", label = "CT power", at = 0x04, head = 0x08, channel = 1, as = "i16", unit = "W", confidence = "B" },
      { id = "status/ct1_current", key = "status/ct1_current", label = "CT current", at = 0x06, head = 0x08, channel = 1, as = "i16", divide = 100, scaled = true, unit = "A", confidence = "B" },
      { id = "status/ct2_power", key = "status/ct2_power", label = "CT power", at = 0x04, head = 0x08, channel = 2, as = "i16", unit = "W", confidence = "B" },
      { id = "status/ct2_current", key = "status/ct2_current", label = "CT current", at = 0x06, head = 0x08, channel = 2, as = "i16", divide = 100, scaled = true, unit = "A", confidence = "B" },
      { id = "status/ct3_power", key = "status/ct3_power", label = "CT power", at = 0x04, head = 0x08, channel = 3, as = "i16", unit = "W", confidence = "B" },
      { id = "status/ct3_current", key = "status/ct3_current", label = "CT current", at = 0x06, head = 0x08, channel = 3, as = "i16", divide = 100, scaled = true, unit = "A", confidence = "B" },
      { id = "status/ct4_power", key = "status/ct4_power", label = "CT power", at = 0x04, head = 0x08, channel = 4, as = "i16", unit = "W", confidence = "B" },
      { id = "status/ct4_current", key = "status/ct4_current", label = "CT current", at = 0x06, head = 0x08, channel = 4, as = "i16", divide = 100, scaled = true, unit = "A", confidence = "B" },
      { id = "status/ct5_power", key = "status/ct5_power", label = "CT power", at = 0x04, head = 0x08, channel = 5, as = "i16", unit = "W", confidence = "B" },
      { id = "status/ct5_current", key = "status/ct5_current", label = "CT current", at = 0x06, head = 0x08, channel = 5, as = "i16", divide = 100, scaled = true, unit = "A", confidence = "B" },
      { id = "status/ct6_power", key = "status/ct6_power", label = "CT power", at = 0x04, head = 0x08, channel = 6, as = "i16", unit = "W", confidence = "B" },
      { id = "status/ct6_current", key = "status/ct6_current", label = "CT current", at = 0x06, head = 0x08, channel = 6, as = "i16", divide = 100, scaled = true, unit = "A", confidence = "B" },
      { id = "status/tail", key = "status/tail", label = "Tail (follows the divert power)", at = 0x01, size = 3, as = "i16", confidence = "C" },
    } },
    { name = "zappi status", status = "experimental", serial = 0x1E, types = { [0x3510] = true }, class = 2, entries = 0x30, fields = {
      { id = "zappi/mode", key = "zappi/mode", label = "Mode", at = 0x2F, as = "bits", bit = 0, count = 2, words = { "stop", "fast", "eco", "eco+" }, confidence = "B" },
      { id = "zappi/charge_power", key = "zappi/charge_power", label = "Charge power", at = 0x04, head = 0x08, channel = 1, as = "i16", unit = "W", confidence = "B" },
      { id = "zappi/session_kWh", key = "zappi/session_kWh", label = "Charged in this session", at = 0x2C, as = "u16", divide = 100, scaled = true, unit = "kWh", confidence = "C" },
      { id = "zappi/boosting:4", key = "zappi/boosting", label = "Boosting", at = 0x2E, as = "bit", bit = 4, confidence = "C" },
      { id = "zappi/command_answered:7", key = "zappi/command_answered", label = "Command answered", at = 0x25, as = "bit", bit = 7, confidence = "B" },
      { id = "zappi/command_accepted:3", key = "zappi/command_accepted", label = "Command accepted", at = 0x25, as = "bit", bit = 3, confidence = "B" },
      { id = "zappi/command_sequence", key = "zappi/command_sequence", label = "Command number", at = 0x25, as = "bits", bit = 0, count = 3, confidence = "B" },
    } },
}

local size = { u8 = 1, i8 = 1, u16 = 2, i16 = 2, u32 = 4, i32 = 4, bit = 1, bits = 1 }

local read = {
  u8 = function(bytes) return bytes:le_uint() end,
  u16 = function(bytes) return bytes:le_uint() end,
  u32 = function(bytes) return bytes:le_uint() end,
  i8 = function(bytes) return bytes:le_int() end,
  i16 = function(bytes) return bytes:le_int() end,
  i32 = function(bytes) return bytes:le_int() end,
}

local shown = {
  record = ProtoField.bytes("myenergi.record", "Record"),
  serial = ProtoField.uint32("myenergi.serial", "Serial number"),
  experimental = ProtoField.string("myenergi.experimental", "Experimental decoder"),
  unknown = ProtoField.bytes("myenergi.unknown", "Unknown"),
  cut_off = ProtoField.bytes("myenergi.cut_off", "Cut off"),
  padding = ProtoField.bytes("myenergi.padding", "Padding"),
}

local fields = {}
for _, group in ipairs({ header_fields, value_fields, shown }) do
  for _, field in pairs(group) do
    fields[#fields + 1] = field
  end
end
myenergi.fields = fields

local cut_off = ProtoExpert.new(
  "myenergi.cut_off.expert", "The record is cut off", expert.group.MALFORMED, expert.severity.WARN)
local too_short = ProtoExpert.new(
  "myenergi.too_short.expert", "No record is this short", expert.group.MALFORMED, expert.severity.WARN)
myenergi.experts = { cut_off, too_short }

-- The entries of a record from an offset on; nil where one has size 0 or reaches past the end.
local function entries_of(record, start)
  local at, stop, found = start, RECORDS + record:len(), {}
  if at > stop then return nil end
  while at < stop do
    local head = record(at - RECORDS, 1):uint()
    local count = head % 16
    if count == 0 or at + count > stop then return nil end
    local channel = count > 1 and record(at - RECORDS + 1, 1):bitfield(0, 4) or nil
    found[#found + 1] = { at = at, head = head, size = count, channel = channel }
    at = at + count
  end
  return found
end

-- Where the first entry that a field may stand in begins.
local function entry_of(entries, field)
  for _, entry in ipairs(entries) do
    if (not field.head or field.head == entry.head) and (not field.size or field.size == entry.size)
      and (not field.channel or field.channel == entry.channel) then
      return entry.at
    end
  end
end

-- Where the fields of a decoder are in a record, as { field, offset }; nil where it does not read it.
local function places(record, decoder)
  local stop, found = RECORDS + record:len(), {}
  if decoder.serial + 4 > stop then return nil end
  local entries = decoder.entries and entries_of(record, decoder.entries) or {}
  if decoder.entries and not entries_of(record, decoder.entries) then return nil end
  for _, field in ipairs(decoder.fields) do
    local at = field.at
    if field.head or field.size then
      local entry = entry_of(entries, field)
      at = entry and entry + field.at
    end
    if at then
      if at + size[field.as] > stop then return nil end
      found[#found + 1] = { field = field, at = at }
    end
  end
  return #found > 0 and found or nil
end

-- The stretches of a record's body that a decoder does not read, as { offset, size }.
local function gaps(length, decoder, fields)
  local taken = {}
  local function take(offset, count)
    for at = offset, offset + count - 1 do taken[at] = true end
  end
  take(decoder.serial, 4)
  for _, place in ipairs(fields) do take(place.at, size[place.field.as]) end
  local found, last = {}, nil
  for at = RECORDS + RECORD_HEADER, RECORDS + length - 1 do
    if taken[at] then
      last = nil
    elseif last then
      last[2] = last[2] + 1
    else
      last = { at, 1 }
      found[#found + 1] = last
    end
  end
  return found
end

-- The shortest text that reads back as the same number; a scaled one always has a decimal.
local function text_of(value, scaled)
  if not scaled then return string.format("%d", value) end
  for digits = 15, 17 do
    local text = string.format("%." .. digits .. "g", value)
    if tonumber(text) == value then
      return text:find("[.en]") and text or text .. ".0"
    end
  end
end

-- Adds a field to the tree and returns its text for the info column.
local function add_field(tree, record, field, at)
  local bytes = record(at - RECORDS, size[field.as])
  local protofield = value_fields[field.id]
  local doubt = field.confidence == "A" and "" or " [confidence " .. field.confidence .. "]"
  if field.words then
    local word = field.words[bytes:bitfield(8 - field.bit - (field.count or 1), field.count or 1) + 1]
    tree:add(protofield, bytes, word):append_text(doubt)
    return field.key .. "=" .. word
  end
  if field.as == "bit" then
    tree:add(protofield, bytes):append_text(doubt)
    return bytes:bitfield(7 - field.bit, 1) == 1 and field.key or nil
  end
  local value = field.as == "bits" and bytes:bitfield(8 - field.bit - field.count, field.count)
    or read[field.as](bytes)
  if field.divide then value = value / field.divide end
  if field.add then value = value + field.add end
  local text = text_of(value, field.scaled)
  if field.unit then text = text .. " " .. field.unit end
  local item = tree:add(protofield, bytes, value)
  item:set_text(field.label .. ": " .. text .. doubt)
  return field.key .. "=" .. text
end

-- Whether a decoder's rules admit a record type.
local function admits(decoder, kind)
  return (not decoder.types or decoder.types[kind] or false)
    and not (decoder.other_types and decoder.other_types[kind])
end

-- Whether a declared decoder of the same length reads a record in an experimental one's place.
local function is_replaced(decoder, list, kind)
  if decoder.status ~= "experimental" then return false end
  for _, other in ipairs(list) do
    if other.status == "declared" and (other.types and other.types[kind]
      or not other.types and not decoder.types) then
      return true
    end
  end
  return false
end

-- The decoders whose rules a record satisfies.
local function selected(record)
  local kind, class = record(2, 2):le_uint(), record(4, 1):bitfield(2, 3)
  local list, found = decoders[record(0, 1):uint()] or {}, {}
  local function take(decoder)
    if admits(decoder, kind)
      and (not decoder.class or decoder.class == class)
      and (not decoder.other_class or decoder.other_class ~= class) then
      found[#found + 1] = decoder
    end
  end
  for _, wanted in ipairs({ "confirmed", "experimental", "declared" }) do
    for _, decoder in ipairs(list) do
      if decoder.status == wanted and not is_replaced(decoder, list, kind) then take(decoder) end
    end
    for _, decoder in ipairs(decoders_of_any_length) do
      if decoder.status == wanted then take(decoder) end
    end
  end
  return found
end

-- Adds what a decoder reads of a record, and returns a summary of it.
local function add_reading(tree, record, decoder, fields)
  local serial = record(decoder.serial - RECORDS, 4)
  local summary = decoder.name .. ", serial " .. serial:le_uint()
  if decoder.status ~= "confirmed" then
    local whole = record(RECORD_HEADER)
    tree = tree:add(shown.experimental, whole, decoder.name)
    tree:set_text("Experimental: " .. decoder.name .. " (" .. decoder.status .. "; not confirmed)")
    summary = summary .. ", " .. decoder.status
  end
  tree:add_le(shown.serial, serial)
  local values = {}
  for _, place in ipairs(fields) do
    values[#values + 1] = add_field(tree, record, place.field, place.at)
  end
  for _, gap in ipairs(gaps(record:len(), decoder, fields)) do
    local item = tree:add(shown.unknown, record(gap[1] - RECORDS, gap[2]))
    item:prepend_text(string.format("[0x%02X] ", gap[1]))
  end
  if decoder.status == "confirmed" and #values > 0 then
    summary = summary .. ": " .. table.concat(values, " ")
  end
  return summary
end

local function add_header(tree, bytes, first, list)
  for _, field in ipairs(list) do
    tree:add_le(header_fields[field.id], bytes(field.at - first, field.size))
  end
end

-- Adds a record to the tree, and returns a summary of it.
local function add_record(tree, record)
  local length, kind = record(0, 1):uint(), record(2, 2):le_uint()
  local item = tree:add(shown.record, record)
  local summaries = {}
  add_header(item:add(record(0, RECORD_HEADER), "Record header"), record, RECORDS, record_header)
  for _, decoder in ipairs(selected(record)) do
    local fields = places(record, decoder)
    if fields then
      summaries[#summaries + 1] = add_reading(item, record, decoder, fields)
    end
  end
  if #summaries == 0 then
    summaries[1] = string.format("unknown, type 0x%04X", kind)
    if length > RECORD_HEADER then item:add(shown.unknown, record(RECORD_HEADER)) end
  end
  local summary = string.format("0x%02X %s", length, table.concat(summaries, " + "))
  item:set_text("Record: " .. summary)
  return summary
end

-- Adds what follows the last whole record, and returns a summary of it.
local function add_rest(tree, rest)
  local length = rest(0, 1):uint()
  if length == 0 then
    tree:add(shown.padding, rest)
    return nil
  end
  local item = tree:add(shown.cut_off, rest)
  item:add_proto_expert_info(length < RECORD_HEADER and too_short or cut_off)
  return string.format("0x%02X %s", length, length < RECORD_HEADER and "no record" or "cut off")
end

function myenergi.dissector(buffer, pinfo, tree)
  local there = buffer:len()
  -- Other programs use the ethertype too: what is not ours is left to others.
  if there < #MAGIC or buffer:raw(0, #MAGIC) ~= MAGIC then return 0 end
  pinfo.cols.protocol = "myenergi"
  local top = tree:add(myenergi, buffer())
  if there <= RECORDS then
    top:add(shown.cut_off, buffer()):add_proto_expert_info(cut_off)
    pinfo.cols.info = "cut off before the first record"
    return there
  end
  add_header(top:add(buffer(0, RECORDS), "Frame header"), buffer, 0, frame_header)
  local summaries, at = {}, RECORDS
  while at < there do
    local length = buffer(at, 1):uint()
    if length < RECORD_HEADER or at + length > there then
      summaries[#summaries + 1] = add_rest(top, buffer(at))
      break
    end
    summaries[#summaries + 1] = add_record(top, buffer(at, length))
    at = at + length
  end
  pinfo.cols.info = table.concat(summaries, " | ")
  return there
end

DissectorTable.get("ethertype"):add(ETHERTYPE, myenergi)
