import Datasets
import Files
import Labelling

/// The pictures to sort, as a file of labels gives them.
struct SortPlan {
    /// A picture and its class.
    struct Item {
        /// The absolute path.
        let source: BytePath
        let className: String
    }

    /// The pictures that are sorted, in the order of the file, each once.
    private(set) var items: [Item] = []
    /// Pictures that are left out, by the reason, in the order of the reasons' first rows.
    private(set) var omitted: [(reason: String, count: Int)] = []
    /// The warnings of reading the file.
    private(set) var warnings: [Warning] = []
    /// How many pictures of the file, sorted or not, have a base name, in lower case.
    private var countByName: [String: Int] = [:]

    /// Reads the whole file, so that nothing is done if it is damaged anywhere.
    ///
    /// - Throws: `FileError` when the file cannot be used, an answer is no single class, a picture has two classes, or
    ///   no picture is there; `UnknownTask`.
    init(_ job: SortJob) throws {
        var file = try LabelFile(job.labels, separator: job.separator)
        let current = try BytePath.currentFolder()
        var (rows, found): ([(path: BytePath, className: String)], Int) = ([], 0)
        var classByPath: [BytePath: String] = [:]
        var read = 0
        while let row = try file.next() {
            read += 1
            if read % 1024 == 0 { try LongWork.report("rows", read, of: 0) }
            if row.failure != nil {
                omit("failed")
                continue
            }
            guard let answer = row.answers.first(where: { file.tasks[$0.task].name == job.task }) else { continue }
            found += 1
            guard !file.tasks[answer.task].isValues else {
                throw FileError(path: job.labels, reason: "\(job.task) has values, not classes")
            }
            countByName[Self.folded(row.path.lastComponent), default: 0] += 1
            if let reason = try reason(row, answer, job) {
                omit(reason)
                continue
            }
            let name = answer.labels[0].name
            let path = row.path.normalized(in: current)
            if let other = classByPath.updateValue(name, forKey: path) {
                guard other == name else {
                    throw FileError(
                        path: job.labels,
                        reason: "line \(row.line): \(row.path) is \"\(name)\" here and \"\(other)\" on an earlier line")
                }
                countByName[Self.folded(row.path.lastComponent), default: 0] -= 1
                continue
            }
            rows.append((row.path, name))
        }
        guard read > 0 else { throw FileError(path: job.labels, reason: "has no rows") }
        if found == 0 { try file.checkTask(job.task) }
        if let warning = file.cutWarning { warnings.append(warning) }
        guard !rows.isEmpty else {
            let reasons = omitted.map { "\($0.count) \($0.reason)" }.joined(separator: ", ")
            throw FileError(path: job.labels, reason: "no picture is to be sorted by \(job.task): \(reasons)")
        }
        // Those that an earlier run has moved are not there any more.
        let logged = SortLog.sources(in: job.output)
        let folder = try PictureFolder(of: job.labels, given: job.root, pictures: rows.prefix(1000).map(\.path)) {
            logged.contains(Self.source($0, in: current))
        }
        if let note = folder.note { warnings.append(note) }
        items = rows.map { Item(source: Self.source(folder.path($0.path), in: current), className: $0.className) }
    }

    /// The absolute path of a picture, without `..` unless links make a difference.
    private static func source(_ path: BytePath, in current: BytePath) -> BytePath {
        let plain = path.normalized(in: current)
        guard FilePlacing.isThere(path), !path.isSameFile(as: plain) else { return plain }
        return path.bytes.first == slash ? path : current.appending(path.bytes)
    }

    /// Whether the base name of a picture is another's, too.
    func isAmbiguous(_ name: [UInt8]) -> Bool { countByName[Self.folded(name), default: 0] > 1 }

    /// A name without differences of case, which not every file system knows.
    static func folded(_ name: [UInt8]) -> String { String(decoding: name, as: UTF8.self).lowercased() }

    private mutating func omit(_ reason: String) {
        if let index = omitted.firstIndex(where: { $0.reason == reason }) {
            omitted[index].count += 1
        } else {
            omitted.append((reason, 1))
        }
    }

    /// Why a picture is not sorted; nil if it is.
    private func reason(_ row: LabelRow, _ answer: LabelAnswer, _ job: SortJob) throws(FileError) -> String? {
        if let withheld = answer.withheld { return withheld }
        guard !answer.labels.isEmpty else { return "without a label" }
        func fault(_ reason: String) -> FileError {
            FileError(path: job.labels, reason: "line \(row.line): \(reason)")
        }
        guard answer.labels.count == 1 else {
            throw fault("several labels of \(job.task); a class folder takes pictures of one class")
        }
        if let minimum = job.minimumScore {
            guard let score = answer.score else {
                throw fault("no score of \(job.task), so there can be no lowest one")
            }
            if score < minimum { return "with a score below \(minimum)" }
        }
        if let minimum = job.minimumFit {
            guard let fit = answer.fit else { throw fault("no fit of \(job.task), so there can be no lowest one") }
            if fit < minimum { return "with a fit below \(minimum)" }
        }
        return nil
    }
}
