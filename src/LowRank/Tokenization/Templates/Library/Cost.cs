using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>Counts what functions read and return, so that none is free.</summary>
internal static class Cost
{
    /// <summary>Counts a value by its length; a text beyond the limit is a fault.</summary>
    public static void Charge(Renderer renderer, object value)
    {
        switch (value)
        {
            case string or MarkupValue:
                var length = Text.Of(value)!.Length;
                renderer.Budget.CheckLength(length);
                renderer.Budget.SpendCharacters(length);
                break;
            case ListValue list:
                renderer.Budget.Spend(list.Items.Count);
                break;
        }
    }
}
