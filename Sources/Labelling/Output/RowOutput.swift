package import Files

/// Where the rows of a run go.
package protocol RowOutput: Sendable {
    /// How far an earlier run came, whose rows are there already; nil for a run from the beginning.
    var start: RunCheckpoint? { get }

    /// Writes some bytes of rows.
    ///
    /// - Throws: `OutputError.closed` when nobody reads them any more, else `OutputError.cannotWrite`.
    func write(_ bytes: UnsafeRawBufferPointer) throws(OutputError)

    /// Told between whole rows how far the run is; everything up to there has been written.
    ///
    /// - Throws: `OutputError.cannotWrite` when what was written before could not be kept.
    func note(_ point: RunPoint) throws(OutputError)

    /// The error about inputs that are not those of the earlier run.
    func refusal(_ reason: String) -> any Error
}

extension RowOutput {
    /// Writes some bytes of rows that are in an array.
    ///
    /// - Throws: as `write(_:)` does of bytes anywhere.
    package func write(_ bytes: [UInt8]) throws(OutputError) {
        try bytes.withUnsafeBufferPointer { bytes throws(OutputError) in try write(UnsafeRawBufferPointer(bytes)) }
    }
}

extension OutputFile: RowOutput {
    /// Nil: such a file is written from its beginning.
    package var start: RunCheckpoint? { nil }

    /// Does nothing.
    package func note(_ point: RunPoint) {}

    /// Never asked for.
    package func refusal(_ reason: String) -> any Error {
        OutputError.cannotWrite(path: BytePath("standard output"), reason: reason)
    }
}
