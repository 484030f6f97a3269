using LowRank.Server.Requests;

namespace LowRank.Server.Writing;

/// <summary>Whether an answer is streamed, and whether its usage comes with it.</summary>
/// <param name="IsAsked">Whether it is streamed.</param>
/// <param name="WithUsage">Whether a last chunk has the usage.</param>
internal sealed record StreamFields(bool IsAsked, bool WithUsage)
{
    /// <summary>Reads <c>stream</c> and <c>stream_options</c>.</summary>
    public static StreamFields Read(RequestFields fields)
    {
        bool isAsked = fields.Flag("stream") ?? false, withUsage = false;
        if (fields.Object("stream_options") is { } options)
        {
            if (!isAsked) fields.Problem("stream_options", "is only allowed with `stream`: true");
            withUsage = options.Flag("include_usage") ?? false;
            options.Flag("include_obfuscation"); // nothing is obfuscated; clients ask for that
            options.RefuseOthers();
        }
        return new StreamFields(isAsked, withUsage);
    }
}
