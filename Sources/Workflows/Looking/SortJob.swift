import Datasets
package import Files
import Glibc
import Labelling

/// Sorts labelled pictures into class folders, `DIR/<class>/<picture>`, as training and evaluation read them.
///
/// Nothing is overwritten. A run that was interrupted is resumed by the same job: pictures that an earlier run has put
/// in their places are left alone, wherever a person has put them since.
package struct SortJob {
    /// The file of labels.
    package var labels: BytePath
    /// The task whose classes are the folders.
    package var task: String
    package var mode: SortMode
    /// The folder of the class folders.
    package var output: BytePath
    /// The lowest score and fit of pictures that are sorted.
    package var minimumScore: Double?
    package var minimumFit: Double?
    /// The folder of relative paths; nil for the current one, or the file's own if no picture is in that.
    package var root: BytePath?
    /// Separates the labels of a cell.
    package var separator = MultiLabelImages.usualSeparator

    /// A job.
    package init(labels: BytePath, task: String, mode: SortMode, output: BytePath) {
        (self.labels, self.task, self.mode, self.output) = (labels, task, mode, output)
    }

    /// What came of it.
    package struct Outcome {
        /// The pictures that this run has put in their places.
        package internal(set) var placed = 0
        /// Those that were in the log already.
        package internal(set) var earlier = 0
        /// The pictures that cannot be sorted.
        package internal(set) var failures: [(path: BytePath, reason: String)] = []
        /// The pictures of each class, placed now or earlier, in byte order of the classes.
        package internal(set) var classes: [(name: String, count: Int)] = []
        /// The pictures that are left out, by the reason.
        package internal(set) var omitted: [(reason: String, count: Int)] = []
        /// The folders whose names differ from their classes.
        package internal(set) var renamed: [(folder: String, name: String)] = []
        /// The log, by which a move can be undone.
        package internal(set) var log = BytePath("")
    }

    /// Pictures that are logged, and flushed to the disk, together.
    private static let batch = 256

    /// Sorts the pictures.
    ///
    /// - Throws: `FileError` when the labels or the folder cannot be used; then nothing was done, or the log says what.
    package func run(warn: (Warning) -> Void) throws -> Outcome {
        let plan = try SortPlan(self)
        for warning in plan.warnings { warn(warning) }
        try Self.makeFolder(output)
        let log = try SortLog(output, mode: mode, task: task)
        var outcome = Outcome()
        (outcome.omitted, outcome.log) = (plan.omitted, log.path)
        var folders = ClassFolders()
        for (folder, name) in try ClassFolders.classes(in: output).sorted(by: { $0.key < $1.key }) {
            folders.add(name, folder: folder)
        }
        for entry in log.entries {
            folders.add(entry.className, folder: String(decoding: entry.place.parent.bytes, as: UTF8.self))
        }
        folders.add(plan.items.map(\.className))
        try folders.write(to: output)
        outcome.renamed = folders.renamed.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        try finishEntries(log, &outcome)
        try place(plan, folders, log, &outcome)
        return outcome
    }

    /// Sorts the pictures that are not in the log. Those whose earlier move could not be finished have been reported.
    private func place(_ plan: SortPlan, _ folders: ClassFolders, _ log: SortLog, _ outcome: inout Outcome) throws {
        let entries = log.entries.filter { !$0.hasFailed }
        let logged = Dictionary(entries.map { ($0.source, $0) }, uniquingKeysWith: { $1 })
        var taken = Set(entries.map { SortPlan.folded($0.place.lastComponent) })
        taken.formUnion(SortedPlaces(output).names.map(SortPlan.folded))
        var (counts, batch): ([String: Int], [SortLog.Entry]) = ([:], [])
        // Moves that could not be finished, reported above; each picture comes once, so none is added meanwhile.
        let failed = Set(outcome.failures.map(\.path))
        for (index, item) in plan.items.enumerated() {
            if let entry = logged[item.source] {
                if mode == .move, FilePlacing.isThere(item.source) {
                    if !failed.contains(item.source) {
                        outcome.failures.append(
                            (item.source, "was moved to \(entry.place) before, and is there again"))
                    }
                } else {
                    outcome.earlier += 1
                    counts[entry.className, default: 0] += 1
                }
                continue
            }
            guard let folder = folders.names[item.className], !failed.contains(item.source) else { continue }
            if let reason = problem(item.source) {
                outcome.failures.append((item.source, reason))
                continue
            }
            let isAmbiguous = plan.isAmbiguous(item.source.lastComponent)
            let name = freeName(of: item.source, isAmbiguous: isAmbiguous, BytePath(folder), taken)
            taken.insert(SortPlan.folded(name))
            let place = BytePath(folder).appending(name)
            batch.append(.init(source: item.source, place: place, className: item.className))
            if batch.count == Self.batch {
                try perform(batch, log, &outcome, &counts)
                batch = []
                try LongWork.report("pictures", index + 1, of: plan.items.count)
            }
        }
        try perform(batch, log, &outcome, &counts)
        outcome.classes = counts.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            .map { ($0.key, $0.value) }
    }

    /// Why a picture cannot be sorted; nil if it can.
    private func problem(_ source: BytePath) -> String? {
        switch FileStatus.of(source) {
        case .failure(let error):
            return PictureFolder.archiveReason(source) ?? "\(error)"
        case .success(let status):
            guard status.isRegular else { return "not a regular file" }
            var link = stat()
            let isLink = source.withCString { lstat($0, &link) } == 0 && link.st_mode & S_IFMT == S_IFLNK
            return mode == .move && isLink ? "a symbolic link is not moved" : nil
        }
    }

    /// A name that no other picture has, whatever class folder it is moved to later: its own, or with a part of the
    /// SHA-256 of its path.
    private func freeName(
        of source: BytePath, isAmbiguous: Bool, _ folder: BytePath, _ taken: Set<String>
    ) -> [UInt8] {
        var own = source.lastComponent
        // Hidden files are never looked at in a folder.
        if own.first == UInt8(ascii: ".") { own = Array("%2E".utf8) + own.dropFirst() }
        let point = own.lastIndex(of: UInt8(ascii: ".")) ?? own.count
        let dot = point > 0 && own.count - point <= 16 ? point : own.count
        let digits = SHA256.text(of: [source.bytes])
        func isFree(_ name: [UInt8]) -> Bool {
            !taken.contains(SortPlan.folded(name))
                && !FilePlacing.isThere(output.appending(folder.bytes).appending(name))
        }
        if !isAmbiguous, own.count <= 220, isFree(own) { return own }
        for length in [8, 16, 32] {
            let name = own[..<dot].prefix(180) + Array("-\(digits.prefix(length))".utf8) + own[dot...]
            if isFree(Array(name)) { return Array(name) }
        }
        return Array("\(digits)".utf8) + own[dot...]
    }

    private func perform(
        _ batch: [SortLog.Entry], _ log: SortLog, _ outcome: inout Outcome, _ counts: inout [String: Int]
    ) throws {
        guard !batch.isEmpty else { return }
        let start = log.entries.count
        var failed: [Int] = []
        try log.begin(batch)
        for (index, entry) in batch.enumerated() {
            if let reason = try place(entry) {
                outcome.failures.append((entry.source, reason))
                failed.append(start + index)
            } else {
                outcome.placed += 1
                counts[entry.className, default: 0] += 1
            }
        }
        try log.finish(failed: failed)
    }

    /// Puts a picture in its place; the reason if it cannot.
    private func place(_ entry: SortLog.Entry) throws -> String? {
        let place = output.appending(entry.place.bytes)
        try Self.makeFolder(place.parent)
        let code =
            switch mode {
            case .link: FilePlacing.link(entry.source, at: place)
            case .copy: FilePlacing.copy(entry.source, to: place)
            case .move: FilePlacing.move(entry.source, to: place)
            }
        return code.map { "cannot be \(mode.verb) to \(place): \(systemReason($0))" }
    }

    /// Finishes what an interrupted run was about to do.
    private func finishEntries(_ log: SortLog, _ outcome: inout Outcome) throws {
        guard log.done < log.entries.count else { return }
        let places = SortedPlaces(output)
        var failed: [Int] = []
        for (index, entry) in zip(log.done..., log.entries[log.done...]) {
            let place = output.appending(entry.place.bytes)
            places.removePartials(beside: place)
            if mode == .move, FilePlacing.isThere(entry.source), FilePlacing.isThere(place) {
                if let reason = Self.settle(entry.source, place, removesEmpty: true) {
                    outcome.failures.append((entry.source, reason))
                    failed.append(index)
                }
                if FilePlacing.isThere(place) { continue }
            }
            if FilePlacing.isThere(place) || places.find(entry.place) != nil { continue }
            if let reason = FilePlacing.isThere(entry.source) ? try self.place(entry) : "is gone" {
                outcome.failures.append((entry.source, reason))
                failed.append(index)
            }
        }
        try log.finish(failed: failed)
    }

    /// Ends a move that a crash has left with both names: the same file, or a whole copy.
    ///
    /// - Parameter removesEmpty: whether an empty file at the place is what kept it, and is removed.
    /// - Returns: the reason if that is not what is there.
    static func settle(_ source: BytePath, _ place: BytePath, removesEmpty: Bool) -> String? {
        guard case .success(let old) = FileStatus.of(source), case .success(let new) = FileStatus.of(place) else {
            return "cannot be read"
        }
        if removesEmpty, new.size == 0, old.size > 0 {
            _ = place.withCString { unlink($0) }
            return nil
        }
        guard old.isSameFile(as: new) || (old.size == new.size && FilePlacing.haveSameBytes(source, place)) else {
            return "is there, and so is another file at \(place)"
        }
        return source.withCString { unlink($0) == 0 ? nil : systemReason(errno) }
    }

    private static func makeFolder(_ path: BytePath) throws(FileError) {
        guard path.withCString({ mkdir($0, 0o777) }) != 0 else { return }
        let code = errno
        if code == EEXIST, case .success(let status) = FileStatus.of(path), status.isFolder { return }
        throw FileError(path: path, reason: code == EEXIST ? systemReason(ENOTDIR) : systemReason(code))
    }
}
