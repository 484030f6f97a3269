using System.Text;

namespace LowRank.Tokenization.Decoders;

/// <summary>Turns the byte alphabet back into bytes and those into text; bytes that are no UTF-8 become U+FFFD.</summary>
internal sealed class ByteLevelDecoder : IDecoder
{
    public IReadOnlyList<string> Decode(IReadOnlyList<string> tokens, TextBudget? budget = null)
    {
        var bytes = new List<byte>();
        foreach (string token in tokens)
        {
            int before = bytes.Count;
            foreach (char character in token)
            {
                if (ByteAlphabet.TryByte(character, out byte value)) bytes.Add(value);
                else
                {
                    // An added token written in plain text.
                    bytes.RemoveRange(before, bytes.Count - before);
                    bytes.AddRange(Encoding.UTF8.GetBytes(token));
                    break;
                }
            }
        }
        return [Encoding.UTF8.GetString([.. bytes])];
    }
}
