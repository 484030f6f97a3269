using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary><c>{% for %}</c>. Every item has a scope of its own, so what a body sets is gone with the next item.</summary>
internal sealed class ForStatement(
    int line, Expression target, Expression iterable, Expression? condition, bool isRecursive,
    IReadOnlyList<Statement> body, IReadOnlyList<Statement> otherwise) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        var items = iterable.Evaluate(renderer);
        if (isRecursive)
        {
            renderer.Write(RunRecursive(renderer, renderer.Scope, items, 0));
            return Flow.Normal;
        }

        Run(renderer, renderer.Scope, items, null, 0);
        return Flow.Normal;
    }

    private string RunRecursive(Renderer renderer, Scope outer, object items, int depth)
    {
        renderer.Budget.Enter();
        var text = renderer.Capture(
            () => Run(renderer, outer, items, (inner, arguments) => RunRecursive(
                inner, outer, arguments.BindPositional("loop", 1, 1)[0]!, depth + 1), depth));
        renderer.Budget.Leave();
        return text;
    }

    private void Run(
        Renderer renderer, Scope outer, object items, Func<Renderer, Arguments, object>? recurse, int depth)
    {
        // Filtered lazily: the condition of an item sees what the bodies of the items before it did.
        var source = condition is null ? items : IteratorValue.Generator(Filter(renderer, outer, items));
        var loop = new LoopValue(renderer, source, recurse, depth);
        var completed = false;
        while (loop.MoveNext(out var item))
        {
            renderer.Budget.Begin(Line);
            var scope = new Scope(outer);
            Assignment.Assign(renderer, scope, target, item);
            scope.Set("loop", loop);
            var flow = renderer.Run(body, scope);
            completed |= flow == Flow.Normal;
            if (flow == Flow.Break)
            {
                break;
            }
        }

        // As the reference has it: else also runs where no item's body came to its end, because of break or continue.
        if (!completed)
        {
            renderer.Run(otherwise, new Scope(outer));
        }
    }

    private IEnumerable<object> Filter(Renderer renderer, Scope outer, object items)
    {
        foreach (var item in Iteration.Of(renderer, items))
        {
            var scope = new Scope(outer);
            Assignment.Assign(renderer, scope, target, item);
            var current = renderer.Scope;
            renderer.Scope = scope;
            var passes = Truth.Of(renderer, condition!.Evaluate(renderer));
            renderer.Scope = current;
            if (passes)
            {
                yield return item;
            }
        }
    }
}
