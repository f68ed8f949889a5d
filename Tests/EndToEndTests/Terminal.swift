import Foundation
import TestSupport
import Testing

/// A terminal of one width that understands what `mergevit` writes to it, and what must not happen on it.
struct Terminal {
    /// Something that a person would see go wrong.
    struct Flaw: Error, CustomStringConvertible { let description: String }

    let columns: Int
    /// The rows from the first to the last that was written to.
    private(set) var rows: [[Character]] = [[]]
    /// Every status line that was shown, in order.
    private(set) var statusLines: [String] = []
    private var column = 0
    /// What was written since the last carriage return or newline, and whether a return came before.
    private var written: (text: [Character], isAfterReturn: Bool) = ([], false)

    /// What a process wrote to its stderr, a terminal of that width.
    ///
    /// - Throws: `Flaw` for a status line that is longer than the terminal is wide or does not have its row for itself,
    ///   and for control characters that are not understood.
    init(columns: Int, _ text: String) throws {
        self.columns = columns
        var rest = Array(text.unicodeScalars)[...]
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\r":
                column = 0
                written = ([], true)
            case "\n":
                column = 0
                rows.append([])
                written = ([], false)
            case "\u{1B}":
                guard rest.popFirst() == "[", rest.popFirst() == "K" else { throw Flaw(description: "an escape") }
                try endStatusLine()
            default:
                guard scalar.value >= 0x20, scalar != "\u{7F}" else { throw Flaw(description: "\(scalar.value)") }
                put(Character(scalar))
            }
        }
    }

    /// The rows as text, without those at the end that are empty.
    var text: String {
        let lines = rows.map { String($0) }
        let last = lines.lastIndex { !$0.isEmpty } ?? -1
        return lines[..<(last + 1)].joined(separator: "\n")
    }

    private mutating func put(_ character: Character) {
        if column == columns {
            rows.append([])
            column = 0
        }
        var row = rows[rows.count - 1]
        while row.count <= column { row.append(" ") }
        row[column] = character
        rows[rows.count - 1] = row
        column += 1
        written.text.append(character)
    }

    private mutating func endStatusLine() throws {
        rows[rows.count - 1].removeLast(rows[rows.count - 1].count - column)
        let text = String(written.text)
        guard written.isAfterReturn, written.text.count < columns else {
            throw Flaw(description: "\(written.text.count) characters in \(columns) columns: \(text)")
        }
        guard String(rows[rows.count - 1]) == text else {
            throw Flaw(description: "\"\(text)\" is seen as \"\(String(rows[rows.count - 1]))\"")
        }
        if !text.isEmpty { statusLines.append(text) }
    }
}

extension Terminal {
    /// What a run of `mergevit` with this terminal as its stderr shows.
    static func run(
        _ columns: Int, _ arguments: [String], folder: URL? = nil, environment: [String: String] = ["TERM": "xterm"]
    ) throws -> (terminal: Terminal, run: Finished) {
        let process = try startMergeVit(
            arguments.map { Array($0.utf8) }, folder: folder, environment: environment, columns: columns)
        let run = try process.finish()
        return (try Terminal(columns: columns, run.errors), run)
    }
}
