using LowRank.Kernels;
using LowRank.Serving;
using Microsoft.AspNetCore.Http;

namespace LowRank.Server.Requests;

/// <summary>A request that gets an error as its answer.</summary>
/// <param name="status">The HTTP status.</param>
/// <param name="type">OpenAI's kind of error.</param>
/// <param name="message">What is wrong, for the client's user: no addresses, no stack.</param>
/// <param name="param">The field that is wrong; null if none is.</param>
/// <param name="code">What is wrong, for programs; null if there is no word for it.</param>
internal sealed class ApiException(int status, string type, string message, string? param = null, string? code = null)
    : Exception(message)
{
    public const string InvalidRequest = "invalid_request_error", PromptTooLong = "context_length_exceeded";

    public int Status => status;

    public string Type => type;

    public string? Param => param;

    public string? Code => code;

    /// <summary>Seconds after which to ask again; null where asking again is of no use.</summary>
    public int? RetryAfter { get; init; }

    /// <summary>A field that cannot be used.</summary>
    public static ApiException Invalid(string message, string? param = null, string? code = null) =>
        new(StatusCodes.Status400BadRequest, InvalidRequest, message, param, code);

    /// <summary>Something that is not there.</summary>
    public static ApiException NotFound(string message, string? param = null, string? code = null) =>
        new(StatusCodes.Status404NotFound, InvalidRequest, message, param, code);

    /// <summary>A name that is neither the base's nor an adapter's.</summary>
    public static ApiException UnknownModel(string name) =>
        NotFound($"The model `{name}` does not exist.", "model", "model_not_found");

    /// <summary>A server that cannot answer now.</summary>
    public static ApiException Unavailable(string message, string code) =>
        new(StatusCodes.Status503ServiceUnavailable, "server_error", message, null, code) { RetryAfter = 5 };

    /// <summary>What a failure of the work is to the client.</summary>
    public static ApiException From(Exception failure) => failure switch
    {
        ApiException own => own,
        ServingException { Refusal: ServingRefusal.Busy } busy => new(StatusCodes.Status429TooManyRequests,
            "rate_limit_error", busy.Message, null, "server_busy") { RetryAfter = 1 },
        ServingException { Refusal: ServingRefusal.Closing } => Unavailable("The server is stopping.", "stopping"),
        ServingException { Refusal: ServingRefusal.UnknownAdapter } unknown =>
            NotFound(unknown.Message, "model", "model_not_found"),
        ServingException { Refusal: ServingRefusal.PromptTooLong } full =>
            Invalid(full.Message, null, PromptTooLong),
        ServingException other => Invalid(other.Message),
        InputException input => Invalid(input.Message),
        BadHttpRequestException bad => new(bad.StatusCode, InvalidRequest, bad.Message),
        NonFiniteException => new(StatusCodes.Status500InternalServerError, "server_error",
            "The model gave no finite numbers for this prompt.", null, "non_finite"),
        ObjectDisposedException => Unavailable("The server is stopping.", "stopping"),
        _ => new(StatusCodes.Status500InternalServerError, "server_error",
            "The server failed; its log says why.", null, "internal_error"),
    };

    /// <summary>Whether the failure is the server's, and its log has to say why.</summary>
    public static bool IsFault(Exception failure) => From(failure) is { Code: "internal_error" or "non_finite" };
}
