package import Files

/// The destination of a run's rows.
package protocol RowOutput: Sendable {
    /// The last checkpoint of the earlier run whose rows the output already holds; nil for an empty output.
    var start: RunCheckpoint? { get }

    /// The files that are written with the rows.
    var companions: RowCompanions { get }

    /// Writes bytes of rows.
    ///
    /// - Throws: `OutputError.closed` when the reader of a pipe has gone, else `OutputError.cannotWrite`.
    func write(_ bytes: UnsafeRawBufferPointer) throws(OutputError)

    /// Takes the progress of the run, between whole rows; all rows up to there have been written.
    ///
    /// - Throws: `OutputError.cannotWrite` when earlier rows did not reach the disk.
    func note(_ point: RunPoint) throws(OutputError)

    /// The error for inputs that are not those of the earlier run.
    func refusal(_ reason: String) -> any Error
}

extension RowOutput {
    /// Writes an array of bytes.
    ///
    /// - Throws: `OutputError` as the output's own `write(_:)` does.
    package func write(_ bytes: [UInt8]) throws(OutputError) {
        try bytes.withUnsafeBufferPointer { bytes throws(OutputError) in try write(UnsafeRawBufferPointer(bytes)) }
    }
}

extension OutputFile: RowOutput {
    /// Nil: a plain file is always written from its beginning.
    package var start: RunCheckpoint? { nil }

    /// None.
    package var companions: RowCompanions { RowCompanions() }

    /// Does nothing.
    package func note(_ point: RunPoint) {}

    /// Not used, as `start` is nil.
    package func refusal(_ reason: String) -> any Error {
        OutputError.cannotWrite(path: BytePath("standard output"), reason: reason)
    }
}
