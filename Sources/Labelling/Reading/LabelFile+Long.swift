package import Files

// The two forms in which the rows name their tasks: long tables and JSON Lines.

extension LabelFile {
    /// A row of a long table. Only a task's first rank is an answer: whether further ranks are runners-up or further
    /// labels, such a table does not say.
    mutating func longRow(
        _ cells: [[UInt8]], _ line: Int, _ columns: [Int], _ score: Int?, _ fit: Int?
    ) throws(FileError) -> LabelRow {
        let texts = cells.map { String(decoding: $0, as: UTF8.self) }
        let status = try status(texts[columns[1]], line)
        var row = LabelRow(path: try path(cells[columns[0]], line), line: line)
        if case .failed(let reason) = status {
            row.failure = reason
            return row
        }
        let (name, rank, label) = (texts[columns[2]], texts[columns[3]], texts[columns[4]])
        guard !name.isEmpty, rank.isEmpty || Int(rank).map({ $0 >= 1 }) == true else {
            throw fault(line, "expected a task and a rank, found \"\(name)\" and \"\(rank)\"\(cutHint)")
        }
        let task = task(name)
        guard rank.isEmpty || rank == "1" else { return row }
        var answer = LabelAnswer(task: task)
        if let score { answer.score = try number(texts[score], line, "the score of \(name)") }
        if let fit { answer.fit = try number(texts[fit], line, "the fit of \(name)") }
        // With all scores, the label says whose score it is, even if it was withheld.
        answer.withheld = status.reason(name)
        if !label.isEmpty, answer.withheld == nil { answer.labels = [.init(name: label, score: answer.score)] }
        if label.isEmpty, answer.score != nil, answer.withheld == nil { answer.withheld = "below threshold" }
        row.answers = [answer]
        return row
    }

    /// A line of JSON Lines.
    mutating func jsonRow(_ record: (bytes: [UInt8], line: Int)) throws(FileError) -> LabelRow {
        let object: JSONObject?
        do throws(JSONError) { object = try JSONText.object(parsing: record.bytes) } catch {
            throw fault(record.line, "\(error)\(cutHint)")
        }
        guard let object, let path = object["path"]?.stringValue, let status = object["status"]?.stringValue,
            let answers = object["tasks"]?.objectValue
        else {
            throw fault(record.line, "expected {\"path\":…,\"status\":…,\"tasks\":{…}}, as label writes")
        }
        let parsed = try self.status(status, record.line)
        var row = LabelRow(path: try self.path(JSONText.bytes(of: path), record.line), line: record.line)
        if case .failed(let reason) = parsed {
            row.failure = reason
            return row
        }
        for (name, value) in answers.members {
            guard let members = value.objectValue else {
                throw fault(record.line, "expected an object for \(name), found \(value.kind)")
            }
            row.answers.append(try answer(name, members, parsed, record.line))
        }
        return row
    }

    private mutating func answer(
        _ name: String, _ members: JSONObject, _ status: RowStatus, _ line: Int
    ) throws(FileError) -> LabelAnswer {
        let isValues = members["values"] != nil
        var answer = LabelAnswer(task: task(name, isValues: isValues))
        answer.fit = members["fit"]?.doubleValue
        func label(_ json: JSON) throws(FileError) -> LabelAnswer.Label {
            guard let object = json.objectValue, let label = object["label"]?.stringValue else {
                throw fault(line, "expected {\"label\":…} for \(name), found \(json.kind)")
            }
            return .init(name: label, score: object["score"]?.doubleValue)
        }
        if let values = members["values"]?.objectValue {
            answer.withheld = status.reason(name)
            answer.labels = values.members.filter { $0.value != .null }
                .map { .init(name: $0.key, score: $0.value.doubleValue) }
        } else if let labels = members["labels"]?.arrayValue {
            answer.withheld = status.reason(name)
            for json in labels { answer.labels.append(try label(json)) }
            answer.score = answer.labels.first?.score
        } else {
            answer.score = members["score"]?.doubleValue
            switch members["label"] {
            case .string?: answer.labels = [try label(.object(members))]
            case .null?: answer.withheld = status.reason(name) ?? "below threshold"
            default: throw fault(line, "expected a label of \(name)")
            }
        }
        return answer
    }
}

extension JSONText {
    /// Where bytes that are not UTF-8 are put while a line is parsed: the end of a plane for private use.
    private static let privateUse: UInt32 = 0x10FF00

    /// Parses a line that `append` has written strings of.
    ///
    /// The lone surrogates U+DC80 to U+DCFF, which stand for bytes, are no valid JSON. They become characters for
    /// private use, which `bytes(of:)` turns into bytes again.
    package static func object(parsing line: [UInt8]) throws(JSONError) -> JSONObject? {
        try JSON(parsing: withoutSurrogates(line)).objectValue
    }

    /// The bytes of a string of such a line.
    package static func bytes(of text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        for scalar in text.unicodeScalars {
            if (privateUse + 0x80...privateUse + 0xFF).contains(scalar.value) {
                bytes.append(UInt8(truncatingIfNeeded: scalar.value))
            } else {
                bytes.append(contentsOf: String(scalar).utf8)
            }
        }
        return bytes
    }

    private static func withoutSurrogates(_ line: [UInt8]) -> [UInt8] {
        let escape = UInt8(ascii: "\\")
        var (result, index, isLow): ([UInt8], Int, Bool) = ([], 0, false)
        while index < line.count {
            guard line[index] == escape, index + 1 < line.count else {
                result.append(line[index])
                (index, isLow) = (index + 1, false)
                continue
            }
            let length = line[index + 1] == UInt8(ascii: "u") ? 6 : 2
            let sequence = line[index..<min(index + length, line.count)]
            let code = length == 6 ? UInt32(String(decoding: sequence.dropFirst(2), as: UTF8.self), radix: 16) : nil
            if let code, !isLow, (0xDC80...0xDCFF).contains(code),
                let scalar = Unicode.Scalar(privateUse + (code & 0xFF))
            {
                result.append(contentsOf: String(scalar).utf8)
            } else {
                result.append(contentsOf: sequence)
            }
            isLow = code.map { (0xD800..<0xDC00).contains($0) } ?? false
            index += length
        }
        return result
    }
}
