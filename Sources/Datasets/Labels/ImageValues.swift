package import Files

/// Images with true values, on which regression is evaluated.
package struct ImageValues: Sendable, Equatable {
    /// The table that lists the images.
    package let source: BytePath
    /// The names of the outputs, in the head's order.
    package let outputs: [String]
    /// The images in the order of the table.
    package let paths: [BytePath]
    /// For every image, the value of each output.
    package let values: [[Double]]
    /// Notes for the user on how the table was read, one sentence each.
    package let notes: [Warning]

    /// Images from their parts. The caller guarantees one row of values per path, and one value per output in each row.
    init(source: BytePath, outputs: [String], paths: [BytePath], values: [[Double]], notes: [Warning] = []) {
        (self.source, self.outputs, self.paths, self.values) = (source, outputs, paths, values)
        self.notes = notes
    }

    /// Reads the images of a table on which a model is measured: those of one split, if the table has splits.
    ///
    /// Each output has a column of its name, or `TASK:OUTPUT` as `label` writes it. If the head has only one output,
    /// its column may also be `value`, `label`, `target` or the task's name.
    ///
    /// - Throws: `FileError` as `LabelledTable` does, for a folder, when an output does not have exactly one such
    ///   column, and for cells that are not numbers.
    package init(
        measuredOn path: BytePath, _ reading: LabelledReading = LabelledReading(), task: String, outputs: [String]
    ) throws(FileError) {
        try LabelledTable.refuseFolder(
            path, "where images have values", outputs.count == 1 ? "value" : "of each output")
        var reading = reading
        reading.valueColumns = outputs.map { ["\(task):\($0)", $0] }
        if outputs.count == 1 { reading.valueColumns[0] += ["value", "label", "target", task] }
        let table = try LabelledTable(path, reading)
        let measured = table.measuredSplit
        var paths: Set<BytePath> = []
        var rows: [LabelledTable.Row] = []
        for row in table.rows(of: (measured?.split).map { [$0] }) where paths.insert(row.path).inserted {
            rows.append(row)
        }
        self.init(
            source: path, outputs: outputs, paths: rows.map(\.path), values: rows.map(\.values),
            notes: table.notes + [measured?.note].compactMap(\.self))
    }
}
