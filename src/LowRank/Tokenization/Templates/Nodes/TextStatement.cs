using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Nodes;

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
