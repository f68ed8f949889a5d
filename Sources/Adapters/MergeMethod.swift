/// A rule that makes one change of a parameter out of several tasks' changes.
///
/// A method is a pure function in a file of its own under `Methods`; `MergeMethod.all` is the list of them.
public struct MergeMethod: Sendable {
    /// The name on the command line and in recipes.
    public let name: String
    /// What it computes, in one line.
    public let formula: String
    /// Where it comes from.
    public let source: String
    /// Computes the merged change of one parameter.
    ///
    /// All changes are those of the same parameter, row-major in double precision; the order of tasks does not matter
    /// beyond rounding.
    public let merge: @Sendable (_ changes: [WeightedDelta], _ scale: Double) -> [Double]

    /// Every method, the default first.
    public static let all: [MergeMethod] = [taskArithmetic]

    /// The method of that name, or nil.
    public static func named(_ name: String) -> MergeMethod? { all.first { $0.name == name } }
}

/// One task's change of a parameter, and how much of it is wanted.
public struct WeightedDelta: Sendable {
    /// The task's weight.
    public let weight: Double
    /// ΔW in the order of the parameter's elements.
    public let delta: [Double]

    /// A change with its weight.
    public init(weight: Double, delta: [Double]) {
        self.weight = weight
        self.delta = delta
    }
}
