using LowRank.Data;

namespace LowRank.Hotels;

/// <summary>Sentences that state the facts of a hotel, in many wordings and orders.</summary>
internal static class Wording
{
    public static string Write(Hotel hotel, IReadOnlyList<string> facts, StableRandom random)
    {
        (string name, string area, string price, string rating, string breakfast, string pets) =
            (facts[0], facts[1], facts[2], facts[3], facts[4], facts[5]);
        string Pick(params string[] wordings) => wordings[random.Below(wordings.Length)];
        string opening = Pick(
            $"{name} {area}, {rating}.",
            $"{name} {area} and is {rating}.",
            $"{Capital(rating)}, {name} {area}.",
            $"{Capital(area)}, {name}, {rating} by its guests.",
            $"Travellers know it well: {name} {area}, {rating}.");
        string rooms = Pick(
            $"A room costs {price}",
            $"Rooms are {price}",
            $"You pay {price}",
            $"Expect to pay {price}",
            $"Beds go for {price}");
        string terms = Pick(
            $"{breakfast} and {pets}",
            $"{pets} and {breakfast}",
            $"{breakfast}, while {pets}",
            $"{pets}, and {breakfast}");
        string joined = Pick($"{rooms}; {terms}.", $"{rooms}. {Capital(terms)}.", $"{rooms}, {terms}.");
        return random.Below(4) == 0 ? $"{joined} {opening}" : $"{opening} {joined}";
    }

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];
}
