namespace LowRank.Jinja;

/// <summary>A statement of a template, or text between statements.</summary>
/// <param name="line">The line on which it begins, counted from 1.</param>
internal abstract class Statement(int line)
{
    /// <summary>The line on which it begins, counted from 1.</summary>
    public int Line { get; } = line;

    /// <summary>Runs the statement in the renderer's scope.</summary>
    public abstract Flow Execute(Renderer renderer);
}

/// <summary>A parsed template.</summary>
/// <param name="Statements">Its statements.</param>
/// <param name="HasGenerationBlocks">Whether it has generation blocks.</param>
/// <param name="Names">The names that it reads, without the functions that every template can call.</param>
internal sealed record TemplateBody(
    IReadOnlyList<Statement> Statements, bool HasGenerationBlocks, IReadOnlySet<string> Names);

/// <summary>How a statement ended.</summary>
internal enum Flow
{
    /// <summary>The next statement follows.</summary>
    Normal,

    /// <summary>The innermost loop ends.</summary>
    Break,

    /// <summary>The innermost loop continues with its next item.</summary>
    Continue,
}

/// <summary>Text between the tags.</summary>
internal sealed class TextStatement(int line, string text) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        renderer.Output.Write(text);
        return Flow.Normal;
    }
}

/// <summary><c>{% print a, b %}</c>.</summary>
internal sealed class PrintStatement(int line, IReadOnlyList<Expression> values) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        foreach (var value in values)
        {
            renderer.Write(value.Evaluate(renderer));
        }

        return Flow.Normal;
    }
}

/// <summary><c>{{ expression }}</c>.</summary>
internal sealed class OutputStatement(int line, Expression value) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        renderer.Write(value.Evaluate(renderer));
        return Flow.Normal;
    }
}

/// <summary><c>{% if %}</c> with its branches; opens no scope.</summary>
internal sealed class IfStatement(
    int line, IReadOnlyList<(Expression Condition, IReadOnlyList<Statement> Body)> branches,
    IReadOnlyList<Statement> otherwise) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        foreach (var (condition, body) in branches)
        {
            if (Truth.Of(renderer, condition.Evaluate(renderer)))
            {
                return renderer.Run(body);
            }
        }

        return renderer.Run(otherwise);
    }
}

/// <summary><c>{% for %}</c>. Every item has its own scope, so variables set in the body are gone at the next
/// item.</summary>
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
        // Filtered lazily: the condition for an item sees the effects of the bodies of earlier items.
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

        // As in the reference, else also runs if no item's body reached its end, because of break or continue.
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

/// <summary><c>{% break %}</c> and <c>{% continue %}</c>.</summary>
internal sealed class LoopControlStatement(int line, Flow flow) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer) => flow;
}

/// <summary><c>{% with %}</c>: names that are valid only inside; their values do not see each other.</summary>
internal sealed class WithStatement(
    int line, IReadOnlyList<(Expression Target, Expression Value)> assignments, IReadOnlyList<Statement> body)
    : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        var scope = new Scope(renderer.Scope);
        foreach (var (target, value) in assignments)
        {
            Assignment.Assign(renderer, scope, target, value.Evaluate(renderer));
        }

        return renderer.Run(body, scope);
    }
}

/// <summary><c>{% filter %}</c>.</summary>
internal sealed class FilterBlockStatement(int line, FilterExpression filter, IReadOnlyList<Statement> body)
    : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        var text = renderer.Capture(body, new Scope(renderer.Scope), out var flow);
        if (flow == Flow.Normal)
        {
            renderer.Write(filter.Apply(renderer, text));
        }

        return flow;
    }
}

/// <summary><c>{% generation %}</c>: marks the assistant's words. As in the reference it opens a scope.</summary>
internal sealed class GenerationStatement(int line, IReadOnlyList<Statement> body) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        renderer.RunGeneration(body);
        return Flow.Normal;
    }
}

/// <summary>
/// <c>{% block %}</c>: without inheritance it renders in place. Unless it is <c>scoped</c>, it sees only the template's
/// outermost names. </summary>
internal sealed class BlockStatement(int line, bool isScoped, IReadOnlyList<Statement> body) : Statement(line)
{
    /// <inheritdoc/>
    public override Flow Execute(Renderer renderer)
    {
        renderer.Run(body, new Scope(isScoped ? renderer.Scope : renderer.Root));
        return Flow.Normal;
    }
}
