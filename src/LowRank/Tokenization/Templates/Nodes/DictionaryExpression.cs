using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>A dictionary.</summary>
internal sealed class DictionaryExpression(int line, IReadOnlyList<(Expression Key, Expression Value)> items)
    : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer)
    {
        var dictionary = new DictionaryValue(renderer.Keys);
        foreach (var (key, value) in items)
        {
            dictionary.Items[key.Evaluate(renderer)] = value.Evaluate(renderer);
        }

        return dictionary;
    }
}
