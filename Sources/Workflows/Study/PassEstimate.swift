/// How many image passes are made, and about how many are left.
struct PassEstimate {
    /// Passes that were made.
    private(set) var done = 0.0
    /// What was expected of the pieces that are not begun.
    private var open: Double
    /// What was expected of the piece under way, and what it took so far.
    private var piece = (expected: 0.0, made: 0.0)

    init(left: Double) { open = left }

    /// About how many are left.
    var left: Double { max(0, open) + max(0, piece.expected - piece.made) }

    /// Begins a piece of which so many passes were expected.
    mutating func begin(_ expected: Double) {
        open -= expected
        piece = (expected, 0)
    }

    /// Counts passes of the piece under way.
    mutating func pass(_ images: Int) {
        done += Double(images)
        piece.made += Double(images)
    }

    /// Ends the piece under way.
    mutating func end() { piece = (0, 0) }
}
