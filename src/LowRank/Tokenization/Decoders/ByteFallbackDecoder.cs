using System.Globalization;
using System.Text;

namespace LowRank.Tokenization.Decoders;

/// <summary>Turns runs of tokens &lt;0x00&gt; to &lt;0xFF&gt; into text; a run that is no UTF-8 becomes a U+FFFD a byte.</summary>
internal sealed class ByteFallbackDecoder : IDecoder
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public IReadOnlyList<string> Decode(IReadOnlyList<string> tokens, TextBudget? budget = null)
    {
        var result = new List<string>(tokens.Count);
        var run = new List<byte>();
        foreach (string token in tokens)
        {
            if (ByteOf(token) is { } value)
            {
                run.Add(value);
                continue;
            }
            Flush();
            result.Add(token);
        }
        Flush();
        return result;

        void Flush()
        {
            if (run.Count == 0) return;
            result.Add(Text([.. run]));
            run.Clear();
        }
    }

    /// <summary>The byte that a token stands for; null for other tokens.</summary>
    public static byte? ByteOf(string token) =>
        token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
        && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value) ? value : null;

    private static string Text(byte[] bytes)
    {
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            return new string('\uFFFD', bytes.Length);
        }
    }
}
