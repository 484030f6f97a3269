using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using LowRank.Tokenizers.Unicode;

namespace LowRank.Data.Rows;

/// <summary>Hashes that identify equal rows: 128 bits of SHA-256, which different rows never share by chance.</summary>
internal static class RowIdentity
{
    private static readonly string[][] Forms =
        [["messages", "tools"], ["prompt", "completion"], ["text"], ["input_ids", "labels", "attention_mask"]];

    /// <summary>The hash of a row, regardless of the order of its fields.</summary>
    /// <param name="row">The row.</param>
    /// <param name="ofText">Whether only the fields that a language model learns from count.</param>
    public static UInt128 Exact(JsonObject row, bool ofText) => Hash(Text(row, ofText));

    /// <summary>The hash of the letters and digits, ignoring case and compatibility forms.</summary>
    public static UInt128 Normalized(JsonObject row, bool ofText) => Hash(Plain(Text(row, ofText)));

    /// <summary>The hash of a text.</summary>
    public static UInt128 Hash(string text) => Hash(Encoding.UTF8.GetBytes(text));

    /// <summary>The hash of bytes.</summary>
    public static UInt128 Hash(byte[] bytes)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes, hash);
        return BinaryPrimitives.ReadUInt128LittleEndian(hash);
    }

    /// <summary>Letters and digits in lower case, with one blank for everything in between.</summary>
    public static string Plain(string text)
    {
        var plain = new StringBuilder(text.Length);
        foreach (char c in UnicodeNormalization.Nfkc(text))
        {
            if (char.IsLetterOrDigit(c) || char.IsSurrogate(c)
                || char.GetUnicodeCategory(c) is UnicodeCategory.NonSpacingMark)
                plain.Append(char.ToLowerInvariant(c));
            else if (plain.Length > 0 && plain[^1] != ' ') plain.Append(' ');
        }
        return plain.ToString().TrimEnd();
    }

    private static string Text(JsonObject row, bool ofText)
    {
        string[]? learned = ofText ? Forms.FirstOrDefault(form => row.ContainsKey(form[0])) : null;
        var text = new StringBuilder();
        if (learned is null) Write(row, text);
        else foreach (string key in learned) Write(row[key], text);
        return text.ToString();
    }

    // Keys sorted, with separators that cannot occur in texts.
    private static void Write(JsonNode? node, StringBuilder text)
    {
        if (node is JsonObject fields)
        {
            text.Append('{');
            foreach ((string key, JsonNode? value) in fields.OrderBy(field => field.Key, StringComparer.Ordinal))
            {
                text.Append(key).Append('\u0001');
                Write(value, text);
            }
            text.Append('}');
        }
        else if (node is JsonArray list)
        {
            text.Append('[');
            foreach (JsonNode? item in list) Write(item, text);
            text.Append(']');
        }
        else text.Append(Row.AsText(node) ?? node?.ToJsonString() ?? "null").Append('\u0002');
    }
}
