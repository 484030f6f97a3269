using System.Runtime.InteropServices;

namespace LowRank.Serving;

/// <summary>Tokens of a text whose logits a step needs.</summary>
/// <param name="Text">The text.</param>
/// <param name="First">The first one's row in the step's states.</param>
/// <param name="Count">How many.</param>
/// <param name="Place">How many tokens of the text come before them in the step.</param>
/// <param name="IsLast">Whether tokens are chosen from them, and nothing of the text follows in the step; others are
/// scores of a prompt.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct LogitRows(ServingText Text, int First, int Count, int Place, bool IsLast)
{
    /// <summary>What a step needs, in parts, because the logits of a long prompt over a large vocabulary take
    /// gigabytes: of each text the rows of a prompt that is scored, and then those that tokens are chosen from, which
    /// stay together.</summary>
    /// <param name="plan">For each text the number of tokens that the step reads.</param>
    /// <param name="most">Most rows of a part; a text's chosen tokens have room in any case.</param>
    public static IEnumerable<List<LogitRows>> Parts(IEnumerable<(ServingText Text, int Count)> plan, int most)
    {
        most = Math.Max(PromptLookup.Most + 1, most);
        List<LogitRows> part = [];
        int left = most, row = 0;
        foreach ((ServingText text, int count) in plan)
        {
            int chosen = Math.Max(0, text.Computed + count - (text.Tokens.Count - 1)),
                place = text.IsScored ? 0 : count - chosen;
            while (place < count - chosen || left < chosen)
            {
                int some = Math.Min(left, count - chosen - place);
                if (some > 0) part.Add(new LogitRows(text, row + place, some, place, IsLast: false));
                (place, left) = (place + some, left - some);
                if (left > 0 && left >= chosen) continue;
                yield return part;
                (part, left) = ([], most);
            }
            part.Add(new LogitRows(text, row + place, chosen, place, IsLast: true));
            left -= chosen;
            row += count;
        }
        if (part.Count > 0) yield return part;
    }
}
