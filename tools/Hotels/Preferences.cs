using LowRank.Data;

namespace LowRank.Hotels;

/// <summary>Answers of which one is better: brief, with all facts. The other one is long-winded, or leaves facts
/// out.</summary>
internal static class Preferences
{
    /// <summary>The better answer.</summary>
    public static string Brief(Hotel hotel)
    {
        IReadOnlyList<string> facts = HotelTask.Facts(hotel);
        return $"{facts[0]} {facts[1]}, {facts[3]}. Rooms are {facts[2]}; {facts[4]}, {facts[5]}.";
    }

    /// <summary>The other one.</summary>
    public static string Worse(Hotel hotel, StableRandom random)
    {
        IReadOnlyList<string> facts = HotelTask.Facts(hotel);
        string full = Wording.Write(hotel, facts, random);
        string Pick(params string[] texts) => texts[random.Below(texts.Length)];
        if (random.Below(2) == 0)
            return Pick("Are you looking for a place to stay? ", "Here is something for you. ", "Let me tell you " +
                "more. ")
                + full + Pick(" We hope that you enjoy your visit.", " There is much to see around it.",
                    " Book early, since many people like it.");
        int[] kept = [.. random.Permutation(facts.Count).Take(2 + random.Below(2)).Order()];
        string stated = string.Join(", ", kept.Select(i => facts[i]));
        return char.ToUpperInvariant(stated[0]) + stated[1..] + ".";
    }
}
