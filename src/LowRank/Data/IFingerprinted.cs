namespace LowRank.Data;

/// <summary>Examples that need not be read to be told from others.</summary>
public interface IFingerprinted
{
    /// <summary>Equal where the examples and their order are.</summary>
    string Fingerprint { get; }
}
