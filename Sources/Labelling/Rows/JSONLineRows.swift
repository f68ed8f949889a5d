import Files
import VisionTransformers

/// JSON Lines: one object per file, `{"path":…,"status":…,"tasks":{…}}`.
struct JSONLineRows: RowEncoder {
    let tasks: [SelectedTask]
    let topK: Int
    let hasScores: Bool
    let allScores: Bool
    let hasBestTask: Bool

    func appendHeader(to bytes: inout [UInt8]) {}

    func appendFailure(path: [UInt8], status: [UInt8], to bytes: inout [UInt8]) {
        append(path: path, status: status, best: nil, predictions: [], to: &bytes)
    }

    func append(
        path: [UInt8], status: [UInt8], best: [UInt8]?, predictions: [RankedClasses], to bytes: inout [UInt8]
    ) {
        bytes.append(contentsOf: #"{"path":"#.utf8)
        JSONText.append(path, to: &bytes)
        bytes.append(contentsOf: #","status":"#.utf8)
        JSONText.append(status, to: &bytes)
        if hasBestTask {
            bytes.append(contentsOf: #","best_task":"#.utf8)
            if let best { JSONText.append(best, to: &bytes) } else { bytes.append(contentsOf: "null".utf8) }
        }
        bytes.append(contentsOf: #","tasks":{"#.utf8)
        for (index, (task, prediction)) in zip(tasks, predictions).enumerated() {
            if index > 0 { bytes.append(comma) }
            JSONText.append(task.name, to: &bytes)
            bytes.append(contentsOf: ":{".utf8)
            append(task, prediction, to: &bytes)
            if let fit = prediction.fit {
                bytes.append(contentsOf: #","fit":"#.utf8)
                ScoreFormatter.append(Double(fit), to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(contentsOf: "}}\n".utf8)
    }

    private var comma: UInt8 { UInt8(ascii: ",") }

    /// Appends the members of a task's object.
    private func append(_ task: SelectedTask, _ prediction: RankedClasses, to bytes: inout [UInt8]) {
        switch task.activation {
        case .softmax:
            if let best = prediction.ranks.first { append(best, task, prediction, to: &bytes) }
            if topK > 1 { appendList(prediction.ranks.prefix(topK), ",\"top\":[", task, prediction, to: &bytes) }
        case .sigmoid:
            appendList(prediction.isBelowFit ? [] : prediction.ranks[...], "\"labels\":[", task, prediction, to: &bytes)
        case .identity:
            return appendObject("\"values\":{", task, prediction, to: &bytes) {
                if prediction.isBelowFit { $1 += "null".utf8 } else { ValueFormatter.append($0, to: &$1) }
            }
        }
        if allScores {
            appendObject(",\"scores\":{", task, prediction, to: &bytes) { ScoreFormatter.append($0, to: &$1) }
        }
    }

    private func append(_ index: Int, _ task: SelectedTask, _ prediction: RankedClasses, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: #""label":"#.utf8)
        if prediction.isWithheld {
            bytes.append(contentsOf: "null".utf8)
        } else {
            JSONText.append(task.classes[index], to: &bytes)
        }
        guard hasScores else { return }
        bytes.append(contentsOf: #","score":"#.utf8)
        ScoreFormatter.append(prediction.scores[index], to: &bytes)
    }

    /// Appends an array of classes with their scores.
    private func appendList(
        _ ranks: ArraySlice<Int>, _ start: String, _ task: SelectedTask, _ prediction: RankedClasses,
        to bytes: inout [UInt8]
    ) {
        bytes.append(contentsOf: start.utf8)
        for (rank, index) in ranks.enumerated() {
            bytes.append(contentsOf: (rank > 0 ? ",{" : "{").utf8)
            append(index, task, prediction, to: &bytes)
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(UInt8(ascii: "]"))
    }

    /// Appends an object with every class and its score or value.
    private func appendObject(
        _ start: String, _ task: SelectedTask, _ prediction: RankedClasses, to bytes: inout [UInt8],
        _ append: (Double, inout [UInt8]) -> Void
    ) {
        bytes.append(contentsOf: start.utf8)
        for (index, score) in prediction.scores.enumerated() {
            if index > 0 { bytes.append(comma) }
            JSONText.append(task.classes[index], to: &bytes)
            bytes.append(UInt8(ascii: ":"))
            append(score, &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
    }
}

/// JSON strings from bytes that need not be UTF-8.
package enum JSONText {
    /// Appends a string literal. A byte that is not part of well-formed UTF-8 becomes the lone surrogate U+DC00 + byte,
    /// which Python reads back as the file's name (PEP 383, "surrogateescape").
    package static func append(_ text: [UInt8], to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        var index = 0
        while index < text.count {
            let byte = text[index]
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case 0x0A: bytes.append(contentsOf: #"\n"#.utf8)
            case 0x0D: bytes.append(contentsOf: #"\r"#.utf8)
            case 0x09: bytes.append(contentsOf: #"\t"#.utf8)
            case ..<0x20, 0x7F: appendEscape(UInt16(byte), to: &bytes)
            case ..<0x80: bytes.append(byte)
            default:
                let length = UTF8Sequence.length(text, at: index)
                if length > 0 {
                    bytes.append(contentsOf: text[index..<(index + length)])
                    index += length
                    continue
                }
                appendEscape(0xDC00 + UInt16(byte), to: &bytes)
            }
            index += 1
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func appendEscape(_ unit: UInt16, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: #"\u"#.utf8)
        for shift in [12, 8, 4, 0] {
            let digit = UInt8(unit >> UInt16(shift) & 15)
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }
}

/// Well-formed UTF-8 by table 3-7 of the Unicode standard.
package enum UTF8Sequence {
    /// The length of the well-formed sequence that starts at `index`; 0 when there is none.
    package static func length(_ text: [UInt8], at index: Int) -> Int {
        func at(_ offset: Int) -> UInt8 { index + offset < text.count ? text[index + offset] : 0 }
        let length: Int
        let second: ClosedRange<UInt8>
        switch text[index] {
        case 0x00...0x7F: return 1
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return 0
        }
        guard second.contains(at(1)) else { return 0 }
        for offset in 2..<max(length, 2) where !(0x80...0xBF).contains(at(offset)) { return 0 }
        return length
    }
}
