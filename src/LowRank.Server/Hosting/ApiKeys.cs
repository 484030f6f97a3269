using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace LowRank.Server;

/// <summary>The keys that requests may show.</summary>
/// <remarks>What is compared are digests of one length, each with every key to the end: the time tells neither how much
/// of a key was right nor which one.</remarks>
internal sealed class ApiKeys(IEnumerable<string> keys)
{
    private const string Scheme = "Bearer ";

    private readonly byte[][] digests = [.. keys.Select(Digest)];

    /// <summary>Whether any key is asked for.</summary>
    public bool IsOpen => digests.Length == 0;

    /// <summary>Whether a request shows one of the keys.</summary>
    public bool Admits(HttpRequest request)
    {
        if (IsOpen) return true;
        string shown = request.Headers.Authorization.ToString();
        byte[] digest = Digest(
            shown.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? shown[Scheme.Length..].Trim() : "");
        bool isKnown = false;
        foreach (byte[] key in digests) isKnown |= CryptographicOperations.FixedTimeEquals(key, digest);
        return isKnown;
    }

    private static byte[] Digest(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));
}
