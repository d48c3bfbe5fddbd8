
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
