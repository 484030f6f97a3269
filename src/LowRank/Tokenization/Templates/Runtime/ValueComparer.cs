using System.Numerics;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Runtime;

/// <summary>Equality of dictionary keys as Python has it: 1, 1.0 and True are one key; lists and dictionaries are none.</summary>
internal sealed class ValueComparer(Renderer renderer) : IEqualityComparer<object>
{
    public new bool Equals(object? x, object? y) => Comparison.Equal(renderer, x!, y!);

    public int GetHashCode(object obj)
    {
        switch (obj)
        {
            case string text:
                return Hash(text);
            case MarkupValue markup:
                return Hash(markup.Text);
            case bool boolean:
                return (boolean ? BigInteger.One : BigInteger.Zero).GetHashCode();
            case double number when double.IsInteger(number):
                return new BigInteger(number).GetHashCode();
            case TupleValue tuple:
                return HashItems(tuple);
            case ListValue or DictionaryValue:
                throw TemplateFault.Type($"unhashable type: '{TypeNames.Of(obj)}'");
            case UndefinedValue:
                return 0;
            case BigInteger or double:
                return obj.GetHashCode();
            default:
                return System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(obj);
        }
    }

    private int Hash(string text)
    {
        renderer.Budget.SpendCharacters(text.Length);
        return text.GetHashCode(StringComparison.Ordinal);
    }

    private int HashItems(TupleValue tuple)
    {
        renderer.Budget.Enter();
        var hash = new HashCode();
        foreach (var item in tuple.Items)
        {
            renderer.Budget.Spend(1);
            hash.Add(GetHashCode(item));
        }

        renderer.Budget.Leave();
        return hash.ToHashCode();
    }
}
