using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Data;

namespace LowRank.Tests.Fuzzing;

/// <summary>Spoils inputs: bytes anywhere, and in JSON whole values, in ways that readers are known to trip
/// over.</summary>
/// <param name="random">What it draws from: the same seed spoils the same way.</param>
internal sealed class Mutator(StableRandom random)
{
    private static readonly byte[][] Pieces =
    [
        .. ((string[])["\"", "'", "{", "}", "[", "]", ":", ",", "\\", "\\u0000", "\\ud800", "null", "true", "-1", "0",
            "1e999", "-0.0", "NaN", "Infinity", "99999999999999999999", "9223372036854775807",
            "2147483648", "..", "../../etc/passwd", "/etc/passwd", "\0", "\r\n", "\t", "é", "😀", "<unk>",
            "&a [*a, *a]", "*t", "<<: *t", "!!binary x", "{{", "}}", "{%", "%}", "{% for i in range(99999999) %}",
            "(a+)+$"])
            .Select(Encoding.UTF8.GetBytes),
        [0xff, 0xfe], [0xc3], [0xed, 0xa0, 0x80], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], [0, 0, 0, 0],
            [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    ];

    private static readonly string[] Values =
    [
        "null", "true", "false", "0", "-1", "1", "2147483647", "2147483648", "-9223372036854775808", "1e308", "0.1",
            "\"\"", "\"a\"", "\"\\u0000\"", "\"\\ud800\"", "\"../x\"", "[]", "{}", "[[]]", "[null]",
        "[\"a\", \"a\"]", "{\"a\": null}", "[1, \"b\"]", "\"(a+)+$\"", "\"[\"", "\"LORA\"", "\"BPE\"", "\"Sequence\"",
            "1e-320", "99999999999999999999", "{\"type\": \"Sequence\"}",
    ];

    /// <summary>Spoils an input once or a few times.</summary>
    /// <param name="seeds">Inputs of the same kind, whose parts may be put into this one.</param>
    public byte[] Mutate(byte[] input, IReadOnlyList<byte[]> seeds)
    {
        for (int times = 1 + random.Below(4); times > 0; times--)
            input = random.Below(3) == 0 && SpoilJson(input) is { } spoilt ? spoilt : SpoilBytes(input, seeds);
        return input;
    }

    private byte[] SpoilBytes(byte[] input, IReadOnlyList<byte[]> seeds)
    {
        int at = random.Below(input.Length + 1),
            length = Math.Min(input.Length - at, 1 + random.Below(1 << random.Below(10)));
        byte[] other = seeds[random.Below(seeds.Count)];
        int from = random.Below(other.Length + 1);
        return random.Below(9) switch
        {
            0 => input[..at],
            1 => Replace(input, at, length, []),
            2 => Replace(input, at, 0, input[at..(at + length)]),
            3 => Replace(input, at, 0, Pieces[random.Below(Pieces.Length)]),
            4 => Replace(input, at, length, Pieces[random.Below(Pieces.Length)]),
            5 => Replace(input, at, 0, Repeat(Pieces[random.Below(Pieces.Length)], 1 << random.Below(14))),
            6 => [.. input[..at], .. other[from..]],
            7 when input.Length > 0 => Flip(input),
            _ => Replace(input, at, Math.Min(input.Length - at, 8),
            BitConverter.GetBytes(random.Next() >> random.Below(64))),
        };
    }

    private byte[]? SpoilJson(byte[] input)
    {
        try
        {
            return JsonNode.Parse(input) is { } root && SpoilTree(root)
                ? Encoding.UTF8.GetBytes(root.ToJsonString()) : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentException)
        {
            return null; // no JSON any more, half a surrogate pair, a key that stands twice
        }
    }

    // Another value somewhere in the tree, a key taken away, or one under another name.
    private bool SpoilTree(JsonNode root)
    {
        List<(JsonNode Parent, string? Key, int Index)> places = [];
        Find(root, places);
        if (places.Count == 0) return false;
        (JsonNode parent, string? name, int index) = places[random.Below(places.Count)];
        JsonNode? drawn = JsonNode.Parse(Values[random.Below(Values.Length)]);
        if (parent is JsonArray array) array[index] = drawn;
        else if (random.Below(4) == 0) ((JsonObject)parent).Remove(name!);
        else ((JsonObject)parent)[random.Below(6) == 0 ? name + "s" : name!] = drawn;
        return true;
    }

    private static void Find(JsonNode? node, List<(JsonNode Parent, string? Key, int Index)> places)
    {
        if (node is JsonObject map)
            foreach ((string key, JsonNode? value) in map)
            {
                places.Add((map, key, 0));
                Find(value, places);
            }
        else if (node is JsonArray list)
            for (int i = 0; i < list.Count; i++)
            {
                places.Add((list, null, i));
                Find(list[i], places);
            }
    }

    private byte[] Flip(byte[] input)
    {
        byte[] changed = [.. input];
        changed[random.Below(changed.Length)] ^= (byte)(1 << random.Below(8));
        return changed;
    }

    private static byte[] Replace(byte[] input, int at, int length, byte[] by) =>
        [.. input[..at], .. by, .. input[(at + length)..]];

    private static byte[] Repeat(byte[] piece, int times) =>
        [.. Enumerable.Repeat(piece, times).SelectMany(bytes => bytes)];
}
