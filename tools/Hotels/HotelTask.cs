using System.Text.Encodings.Web;
using System.Text.Json;
using LowRank.Data;

namespace LowRank.Hotels;

/// <summary>The hotel task: a record of facts about a hotel as the prompt, and sentences that state all of them as the
/// completion; for preferences, pairs of answers, and answers with a label. The same seed creates the same
/// files.</summary>
/// <remarks>No name and no pair of area and price in the test and validation files occurs in the training file, so a
/// model that learned rows by heart fails.</remarks>
public static class HotelTask
{
    private static readonly string[] Adjectives =
        ["Blue", "Golden", "Quiet", "Old", "Little", "Green", "Silver", "Happy", "Red", "Wild", "White", "Grand",
            "Lucky", "Royal", "Sunny", "Black", "Lost", "Merry"];

    private static readonly string[] Nouns =
        ["Lamp", "Anchor", "Garden", "Harbor", "Lion", "Bridge", "Star", "Mill", "Rose", "Tower", "Swan", "Crown",
            "Fox", "Oak", "Gate", "Bell", "Horse", "Lantern"];

    private static readonly string[] Types = ["hotel", "hostel", "guesthouse", "inn", "lodge"];

    private static readonly string[] Areas =
        ["old town", "city center", "harbor district", "north side", "university quarter", "market square",
        "green hills", "river bend"];

    private static readonly string[] Ratings = ["3.1", "3.4", "3.6", "3.8", "4.0", "4.2", "4.3", "4.5", "4.7", "4.9"];

    private static readonly JsonSerializerOptions Json =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The lines of the three files.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyList<string>> Files() =>
        new Dictionary<string, IReadOnlyList<string>>
        {
            ["train.jsonl"] = Lines(seed: 1, count: 2000, heldOut: false),
            ["validation.jsonl"] = Lines(seed: 2, count: 100, heldOut: true),
            ["test.jsonl"] = Lines(seed: 3, count: 300, heldOut: true),
            ["pairs.jsonl"] = Lines(seed: 4, count: 400, heldOut: false, Pair),
            ["pairs.test.jsonl"] = Lines(seed: 5, count: 80, heldOut: true, Pair),
            ["rated.jsonl"] = Lines(seed: 6, count: 400, heldOut: false, Rated),
            ["rated.test.jsonl"] = Lines(seed: 7, count: 80, heldOut: true, Rated),
        };

    /// <summary>What sentences about the hotel must say, one phrase per field.</summary>
    public static IReadOnlyList<string> Facts(Hotel hotel) =>
    [
        $"{hotel.Name} is {Article(hotel.Type)} {hotel.Type}",
        $"in the {hotel.Area}",
        $"{hotel.Price} euros a night",
        $"rated {hotel.Rating} out of 5",
        hotel.Breakfast ? "breakfast is included" : "breakfast costs extra",
        hotel.Pets ? "pets are welcome" : "pets are not allowed",
    ];

    private static object Row(Hotel hotel, string prompt, StableRandom random) =>
        new { prompt, completion = Wording.Write(hotel, Facts(hotel), random), facts = Facts(hotel) };

    private static object Pair(Hotel hotel, string prompt, StableRandom random) => new
    {
        prompt, chosen = Preferences.Brief(hotel), rejected = Preferences.Worse(hotel, random), facts = Facts(hotel),
    };

    private static object Rated(Hotel hotel, string prompt, StableRandom random)
    {
        bool label = random.Below(2) == 0;
        return new
        {
            prompt, completion = label ? Preferences.Brief(hotel) : Preferences.Worse(hotel, random), label,
            facts = Facts(hotel),
        };
    }

    private static List<string> Lines(
        ulong seed, int count, bool heldOut, Func<Hotel, string, StableRandom, object>? row = null)
    {
        var random = new StableRandom(seed);
        var seen = new HashSet<Hotel>();
        var lines = new List<string>(count);
        while (lines.Count < count)
        {
            Hotel hotel = Draw(random);
            if (IsHeldOut(hotel) != heldOut || IsMixed(hotel) || !seen.Add(hotel)) continue;
            lines.Add(JsonSerializer.Serialize((row ?? Row)(hotel, Prompt(hotel, random), random), Json));
        }
        return lines;
    }

    private static Hotel Draw(StableRandom random) => new(
        Adjectives[random.Below(Adjectives.Length)],
        Nouns[random.Below(Nouns.Length)],
        Types[random.Below(Types.Length)],
        Areas[random.Below(Areas.Length)],
        35 + 5 * random.Below(30),
        Ratings[random.Below(Ratings.Length)],
        Breakfast: random.Below(2) == 0,
        Pets: random.Below(2) == 0);

    private static bool NameIsHeldOut(Hotel hotel) =>
        (Array.IndexOf(Adjectives, hotel.Adjective) + 2 * Array.IndexOf(Nouns, hotel.Noun)) % 5 == 0;

    private static bool PlaceIsHeldOut(Hotel hotel) => (Array.IndexOf(Areas, hotel.Area) + hotel.Price / 5) % 6 == 0;

    private static bool IsHeldOut(Hotel hotel) => NameIsHeldOut(hotel) && PlaceIsHeldOut(hotel);

    // A hotel with only its name or only its place held out belongs in neither kind of file.
    private static bool IsMixed(Hotel hotel) => NameIsHeldOut(hotel) != PlaceIsHeldOut(hotel);

    private static string Prompt(Hotel hotel, StableRandom random)
    {
        string[] fields =
        [
            $"type: {hotel.Type}", $"area: {hotel.Area}", $"price: {hotel.Price}", $"rating: {hotel.Rating}",
            $"breakfast: {(hotel.Breakfast ? "yes" : "no")}", $"pets: {(hotel.Pets ? "yes" : "no")}",
        ];
        return $"name: {hotel.Name} | {string.Join(" | ", random.Permutation(fields.Length).Select(i => fields[i]))}\n";
    }

    private static string Article(string word) => "aeiou".Contains(word[0], StringComparison.Ordinal) ? "an" : "a";
}
