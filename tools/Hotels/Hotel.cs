namespace LowRank.Hotels;

/// <summary>A row of the table of hotels.</summary>
public sealed record Hotel(
    string Adjective, string Noun, string Type, string Area, int Price, string Rating, bool Breakfast, bool Pets)
{
    /// <summary>The hotel's name.</summary>
    public string Name => $"The {Adjective} {Noun}";
}
