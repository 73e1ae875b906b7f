/// What a caller should know of a plan that can be drawn, but may disappoint: a line each.
struct Advice {
  let lines: [String]

  init(on plan: GenerationPlan) {
    let name = plan.model.name
    var lines: [String] = []
    if plan.runsUntrainedSparse {
      lines.append(
        "\(name): this checkpoint was trained dense; without fine-tuning, sparse tokens cost quality"
      )
    }
    // A model with a list of its words has seen nothing else, and pictures of one size only.
    if let words = plan.model.words {
      if let word = words.firstUnknown(in: plan.request.prompt) {
        lines.append(
          "\(name) does not know \"\(word)\"; `sparsedit-t2i --words` lists what it knows")
      }
      let side = plan.model.defaultSide
      let (width, height) = (plan.sides.drawnWidth, plan.sides.drawnHeight)
      let fits = [width, height].allSatisfy {
        $0 * 4 >= side * 3 && $0 * 2 <= side * 3
      }
      if !fits {
        lines.append(
          "\(name) was made for \(side)×\(side): \(width)×\(height) may look broken")
      }
    }
    self.lines = lines
  }
}
