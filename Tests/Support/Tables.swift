/// The records of a CSV or TSV file, their cells as bytes: RFC 4180 with LF as the end of a line.
///
/// Nil for what that does not allow: a quote or CR in a cell without quotes, text behind a closing quote, a last line
/// without its LF.
package func records(_ bytes: [UInt8], delimiter: Character = ",") -> [[[UInt8]]]? {
    let (separator, quote, lineFeed) = (delimiter.asciiValue ?? 0, UInt8(ascii: "\""), UInt8(ascii: "\n"))
    var records: [[[UInt8]]] = []
    var record: [[UInt8]] = []
    var index = 0
    while index < bytes.count {
        var cell: [UInt8] = []
        if bytes[index] == quote {
            index += 1
            while true {
                guard index < bytes.count else { return nil }
                if bytes[index] == quote {
                    index += 1
                    guard index < bytes.count, bytes[index] == quote else { break }
                }
                cell.append(bytes[index])
                index += 1
            }
        } else {
            while index < bytes.count, bytes[index] != separator, bytes[index] != lineFeed {
                guard bytes[index] != quote, bytes[index] != UInt8(ascii: "\r") else { return nil }
                cell.append(bytes[index])
                index += 1
            }
        }
        guard index < bytes.count, bytes[index] == separator || bytes[index] == lineFeed else { return nil }
        record.append(cell)
        if bytes[index] == lineFeed {
            records.append(record)
            record = []
        }
        index += 1
    }
    return record.isEmpty ? records : nil
}

/// The cells of a CSV or TSV file as text; none if the file is malformed.
package func cells(_ bytes: [UInt8], delimiter: Character = ",") -> [[String]] {
    (records(bytes, delimiter: delimiter) ?? []).map { $0.map { String(decoding: $0, as: UTF8.self) } }
}

/// The rows of a CSV or TSV file by column name.
package func table(_ bytes: [UInt8], delimiter: Character = ",") -> [[String: String]] {
    let rows = cells(bytes, delimiter: delimiter)
    return rows.dropFirst().map { Dictionary(zip(rows[0], $0), uniquingKeysWith: { $1 }) }
}
