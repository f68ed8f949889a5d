/// A model that answers for all its tasks in one pass. It is called from one thread only.
package protocol MultitaskClassifying {
    /// The tasks, in the order of their logits.
    var tasks: [TaskLabels] { get }

    /// Computes logits of shape (images, classes of all tasks), the tasks in their order.
    ///
    /// - Throws: any error; it ends the run.
    func logits(_ inputs: UnsafeBufferPointer<Float>, images: Int, into output: UnsafeMutableBufferPointer<Float>)
        throws
}
