package import Files

/// Images with true values: what regression is evaluated on.
package struct ImageValues: Sendable, Equatable {
    /// The table that names them.
    package let source: BytePath
    /// The names of the outputs, in the head's order.
    package let outputs: [String]
    /// The images in the order of the table.
    package let paths: [BytePath]
    /// A value of each output for every image.
    package let values: [[Double]]
    /// What a user ought to know of how they were read, a sentence each.
    package let notes: [String]

    /// Images from their parts. The caller guarantees that there are as many rows of values as paths, and in each as
    /// many values as outputs.
    package init(source: BytePath, outputs: [String], paths: [BytePath], values: [[Double]], notes: [String] = []) {
        (self.source, self.outputs, self.paths, self.values) = (source, outputs, paths, values)
        self.notes = notes
    }

    /// Reads the images of a table that a model is measured on: of one that tells splits apart those of one split.
    ///
    /// Each output has a column of its name, or `TASK:OUTPUT` as `label` writes it. The only output of a head may as
    /// well be in `value`, `label`, `target` or a column of the task's name.
    ///
    /// - Throws: `FileError` as `LabelledTable` does, for a folder, when an output has not exactly
    ///   one such column, and for cells that are no numbers.
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
        var places: [BytePath: Int] = [:]
        var rows: [LabelledTable.Row] = []
        for row in table.rows(of: (measured?.split).map { [$0] }) where places.updateValue(0, forKey: row.path) == nil {
            rows.append(row)
        }
        self.init(
            source: path, outputs: outputs, paths: rows.map(\.path), values: rows.map(\.values),
            notes: table.notes + [measured?.note].compactMap(\.self))
    }
}
