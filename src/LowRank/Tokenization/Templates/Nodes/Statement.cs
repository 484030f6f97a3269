using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>A statement of a template, or text between statements.</summary>
/// <param name="line">The line it begins on, counted from 1.</param>
internal abstract class Statement(int line)
{
    /// <summary>The line it begins on, counted from 1.</summary>
    public int Line { get; } = line;

    /// <summary>Runs the statement in the renderer's scope.</summary>
    public abstract Flow Execute(Renderer renderer);
}
