package import Files

extension MultiLabelImages {
    /// Reads the images of a table that a model is measured on: of one that tells splits apart those of one split.
    ///
    /// - Parameter separator: what separates the labels of a cell.
    /// - Throws: `FileError` as `LabelledTable` does, for a folder, and for cells that cannot be
    ///   taken apart.
    package init(
        measuredOn path: BytePath, _ reading: LabelledReading = LabelledReading(), separator: String
    ) throws(FileError) {
        let table = try LabelledTable(severalLabels: path, reading, separator: separator)
        let measured = table.measuredSplit
        self = try table.labels((measured?.split).map { [$0] }, separator: separator, note: measured?.note)
    }
}

extension LabelledTable {
    /// Reads a table whose cells have any number of labels.
    ///
    /// - Throws: `FileError` as `init(_:_:)` does, and for a folder.
    package init(
        severalLabels path: BytePath, _ reading: LabelledReading, separator: String
    ) throws(FileError) {
        try LabelledTable.refuseFolder(path, "where an image may have several labels", "label")
        var reading = reading
        reading.labelSeparator = separator
        self = try LabelledTable(path, reading)
    }

    /// The images of some splits with any number of labels; of a table that knows no splits all.
    ///
    /// - Throws: `FileError` when there are none, or for cells that cannot be taken apart.
    package func labels(
        _ splits: Set<DataSplit>?, separator: String, note: String? = nil
    ) throws(FileError) -> MultiLabelImages {
        let chosen = rows(of: splits)
        guard !chosen.isEmpty else {
            let names = (splits ?? []).map(\.rawValue).sorted().joined(separator: " or ")
            throw FileError(path: path, reason: "no row is of the \(names) images, which are wanted here")
        }
        return try MultiLabelImages(
            source: path, rows: chosen.map { ($0.path, $0.label, $0.line) }, separator: separator,
            notes: notes + [note].compactMap(\.self))
    }

    /// Refuses a folder where only a table says what is needed.
    static func refuseFolder(_ path: BytePath, _ occasion: String, _ column: String) throws(FileError) {
        switch FileStatus.of(path) {
        case .failure(let error): throw FileError(path: path, reason: "\(error)")
        case .success(let status) where status.isFolder:
            throw FileError(
                path: path,
                reason: "is a folder; \(occasion), expected a CSV or TSV with the columns path and \(column)")
        case .success: break
        }
    }
}
