using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>An expression of a template.</summary>
/// <param name="line">The line it begins on, counted from 1.</param>
internal abstract class Expression(int line)
{
    /// <summary>The line it begins on, counted from 1.</summary>
    public int Line { get; } = line;

    /// <summary>The value in the renderer's scope.</summary>
    public object Evaluate(Renderer renderer)
    {
        renderer.Budget.Begin(Line);
        return Compute(renderer);
    }

    /// <summary>Computes the value; the step is counted.</summary>
    protected abstract object Compute(Renderer renderer);
}
